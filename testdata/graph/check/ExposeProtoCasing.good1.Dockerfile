FROM debian:12
EXPOSE 80/tcp 53/udp 9/sctp 1
