FROM debian:12
EXPOSE 80/TcP 53/udp
