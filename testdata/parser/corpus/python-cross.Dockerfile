# syntax=docker/dockerfile:1
ARG REGISTRY=docker.io
ARG VERSION=3.12
ARG VARIANT="-slim"
ARG BASE=${REGISTRY}/python:${VERSION}${VARIANT}

FROM --platform=${BUILDPLATFORM} ${BASE} AS build-any
ARG TARGETPLATFORM TARGETOS TARGETARCH TARGETVARIANT
ARG VERSION
WORKDIR /src
COPY requirements.txt ./
RUN pip install -r requirements.txt
COPY . .
RUN target="${TARGETOS}-${TARGETARCH}${TARGETVARIANT:+-$TARGETVARIANT}"; \
    case "$TARGETPLATFORM" in \
      linux/arm64) export CROSS=aarch64-linux-gnu- ;; \
      linux/arm/*) export CROSS=arm-linux-gnueabihf- ;; \
      *)           : ;; \
    esac; \
    echo "$target" > /target && python -m compileall .

FROM ${BASE} AS runtime
ARG VERSION
LABEL org.opencontainers.image.version="${VERSION}" org.opencontainers.image.title="python"
COPY --from=build-any /src/src /target /opt/app/
ENTRYPOINT ["python", "-m", "app"]
