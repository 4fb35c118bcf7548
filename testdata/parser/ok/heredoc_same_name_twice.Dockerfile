FROM debian:12
RUN <<A <<A cat
first
A
second
A
