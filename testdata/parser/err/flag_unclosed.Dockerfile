FROM debian:12
COPY --chown="a b c
RUN --mount='type=cache a
RUN ok
FOO
