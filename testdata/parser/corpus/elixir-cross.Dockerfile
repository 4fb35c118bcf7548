# syntax=docker/dockerfile:1
ARG REGISTRY=docker.io
ARG VERSION=1.16
ARG VARIANT="-alpine"
ARG BASE=${REGISTRY}/elixir:${VERSION}${VARIANT}

FROM --platform=${BUILDPLATFORM} ${BASE} AS build-any
ARG TARGETPLATFORM TARGETOS TARGETARCH TARGETVARIANT
ARG VERSION
WORKDIR /src
COPY mix.exs mix.lock ./
RUN mix deps.get
COPY . .
RUN target="${TARGETOS}-${TARGETARCH}${TARGETVARIANT:+-$TARGETVARIANT}"; \
    case "$TARGETPLATFORM" in \
      linux/arm64) export CROSS=aarch64-linux-gnu- ;; \
      linux/arm/*) export CROSS=arm-linux-gnueabihf- ;; \
      *)           : ;; \
    esac; \
    echo "$target" > /target && mix release

FROM ${BASE} AS runtime
ARG VERSION
LABEL org.opencontainers.image.version="${VERSION}" org.opencontainers.image.title="elixir"
COPY --from=build-any /src/_build/prod/rel/app /target /opt/app/
ENTRYPOINT ["_build/prod/rel/app/bin/app", "start"]
