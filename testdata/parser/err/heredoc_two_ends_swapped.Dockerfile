FROM debian:12
RUN <<A <<B
a
B
b
A
RUN c
