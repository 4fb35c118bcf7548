FROM debian:12
COPY <<EOF
a
EOF
ADD a b <<"E F"
a
E F
COPY --from=x <<A <<B
A
B
