FROM debian:12
RUN -- --mount=x
RUN --network=none -- -a
RUN -a --b
RUN a --network=none
RUN --mount=type=ssh --mount=type=ssh --device=a --device=b,required=1 x
