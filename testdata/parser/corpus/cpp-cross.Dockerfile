# syntax=docker/dockerfile:1
ARG REGISTRY=docker.io
ARG VERSION=13
ARG VARIANT=".2"
ARG BASE=${REGISTRY}/gcc:${VERSION}${VARIANT}

FROM --platform=${BUILDPLATFORM} ${BASE} AS build-any
ARG TARGETPLATFORM TARGETOS TARGETARCH TARGETVARIANT
ARG VERSION
WORKDIR /src
COPY CMakeLists.txt ./
RUN apt-get update && apt-get install -y --no-install-recommends cmake
COPY . .
RUN target="${TARGETOS}-${TARGETARCH}${TARGETVARIANT:+-$TARGETVARIANT}"; \
    case "$TARGETPLATFORM" in \
      linux/arm64) export CROSS=aarch64-linux-gnu- ;; \
      linux/arm/*) export CROSS=arm-linux-gnueabihf- ;; \
      *)           : ;; \
    esac; \
    echo "$target" > /target && cmake -B build && cmake --build build

FROM ${BASE} AS runtime
ARG VERSION
LABEL org.opencontainers.image.version="${VERSION}" org.opencontainers.image.title="cpp"
COPY --from=build-any /src/build /target /opt/app/
ENTRYPOINT ["build/app"]
