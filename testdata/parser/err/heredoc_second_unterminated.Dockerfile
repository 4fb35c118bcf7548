FROM debian:12
COPY <<A <<B /x/
a
A
b
