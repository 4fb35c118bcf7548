FROM debian:12
COPY
COPY a
ADD a
COPY --from=x a
COPY ["a"]
COPY []
COPY ["a", 1, "b"]
COPY a <<EOF
x
EOF
