FROM debian:12
EXPOSE 80
EXPOSE 80/tcp 443/UDP 8000-8010 $PORT/sctp
VOLUME /a
VOLUME /a /b "/c d"
VOLUME ["/a", " /b c "]
