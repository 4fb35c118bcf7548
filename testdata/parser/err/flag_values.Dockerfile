FROM debian:12
COPY --from a b
COPY --link= a b
COPY --link=yes a b
COPY --from=a --from=b c d
RUN --network=nat a
RUN --network=hst a
RUN --security=none a
COPY --parents=tru a b
RUN --mount a
