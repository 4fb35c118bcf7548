FROM debian:12
RUN ab [0m
RUNab
ENV A= B=​c
LABEL d= 
