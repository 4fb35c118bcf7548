FROM --Platform=linux debian
COPY --FROM=a b c
RUN --Network=none a
RUN --network=NONE a
RUN --security=Insecure a
