FROM debian:12
VOLUME ["/a" "/b"]
VOLUME ['/c']
ADD ["a", "b"
HEALTHCHECK CMD ["a",]
COPY [ "a", "b", ] /c
