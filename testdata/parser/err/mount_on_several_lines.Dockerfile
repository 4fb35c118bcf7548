FROM debian:12
RUN --mount=type=cache,target=/a,\
sharing=loked \
    # between
    --mount=type=secrt,id=é \
    --mout=type=ssh \
    make
