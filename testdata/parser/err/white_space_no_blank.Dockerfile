FROM debian:12
RUN a
​RUN a
COPY　a b
