FROM debian
RUN true