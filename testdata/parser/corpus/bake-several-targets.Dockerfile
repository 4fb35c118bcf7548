# syntax=docker/dockerfile:1
FROM alpine AS base
RUN apk add --no-cache bash
FROM base AS lint
RUN --mount=type=bind,target=/src cd /src && ./hack/lint
FROM base AS validate-vendor
RUN --mount=target=/context --mount=type=tmpfs,target=/tmp cp -r /context/vendor /tmp
FROM scratch AS artifacts
COPY --from=base /bin/bash /
FROM artifacts
