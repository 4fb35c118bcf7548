FROM debian:12 AS base
RUN a

FROM base AS test
RUN --mount=from=base,target=/b b

# the last stage
FROM scratch
COPY --from=test / /
COPY --from=busybox:1 --exclude=x /bin /bin
