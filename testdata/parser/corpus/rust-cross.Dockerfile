# syntax=docker/dockerfile:1
ARG REGISTRY=docker.io
ARG VERSION=1.76
ARG VARIANT="-slim"
ARG BASE=${REGISTRY}/rust:${VERSION}${VARIANT}

FROM --platform=${BUILDPLATFORM} ${BASE} AS build-any
ARG TARGETPLATFORM TARGETOS TARGETARCH TARGETVARIANT
ARG VERSION
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
RUN cargo fetch --locked
COPY . .
RUN target="${TARGETOS}-${TARGETARCH}${TARGETVARIANT:+-$TARGETVARIANT}"; \
    case "$TARGETPLATFORM" in \
      linux/arm64) export CROSS=aarch64-linux-gnu- ;; \
      linux/arm/*) export CROSS=arm-linux-gnueabihf- ;; \
      *)           : ;; \
    esac; \
    echo "$target" > /target && cargo build --release --locked

FROM ${BASE} AS runtime
ARG VERSION
LABEL org.opencontainers.image.version="${VERSION}" org.opencontainers.image.title="rust"
COPY --from=build-any /src/target/release /target /opt/app/
ENTRYPOINT ["target/release/app"]
