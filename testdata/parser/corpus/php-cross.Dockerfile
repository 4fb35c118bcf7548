# syntax=docker/dockerfile:1
ARG REGISTRY=docker.io
ARG VERSION=2
ARG VARIANT=".6"
ARG BASE=${REGISTRY}/composer:${VERSION}${VARIANT}

FROM --platform=${BUILDPLATFORM} ${BASE} AS build-any
ARG TARGETPLATFORM TARGETOS TARGETARCH TARGETVARIANT
ARG VERSION
WORKDIR /src
COPY composer.json composer.lock ./
RUN composer install --no-dev
COPY . .
RUN target="${TARGETOS}-${TARGETARCH}${TARGETVARIANT:+-$TARGETVARIANT}"; \
    case "$TARGETPLATFORM" in \
      linux/arm64) export CROSS=aarch64-linux-gnu- ;; \
      linux/arm/*) export CROSS=arm-linux-gnueabihf- ;; \
      *)           : ;; \
    esac; \
    echo "$target" > /target && composer dump-autoload -o

FROM ${BASE} AS runtime
ARG VERSION
LABEL org.opencontainers.image.version="${VERSION}" org.opencontainers.image.title="php"
COPY --from=build-any /src/public /target /opt/app/
ENTRYPOINT ["php", "-S", "0.0.0.0:80", "-t", "public"]
