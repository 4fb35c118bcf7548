FROM debian:12
WORKDIR app/bin
WORKDIR more
