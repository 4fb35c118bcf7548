FROM debian:12
COPY ["a" "b"]
COPY ["a", "b"
ENTRYPOINT ["a", "b"
COPY [a] [b]
