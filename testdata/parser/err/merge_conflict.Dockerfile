FROM debian:12
<<<<<<< HEAD
RUN a
=======
RUN b
>>>>>>> topic
