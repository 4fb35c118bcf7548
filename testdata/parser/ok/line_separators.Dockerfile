FROM debian:12
RUN a bc
RUN de
ENV A=b　C=d
