FROM debian:12
RUN --network=none a
RUN --network=host --security=insecure b
RUN --network="default" --security=sandbox c
RUN --device=vendor.com/gpu=all,required --device=x d
RUN --network=none \
    --security=sandbox \
    e
