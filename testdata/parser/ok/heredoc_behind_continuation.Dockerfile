FROM debian:12
RUN --mount=type=cache,target=/c \
    # why
    --network=none \
    bash -ex <<EOF
a \
b
EOF
RUN cat <<A && \
    cat <<B
a
A
b
B
