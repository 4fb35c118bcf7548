# syntax=docker/dockerfile:1
ARG REGISTRY=docker.io
ARG VERSION=20
ARG VARIANT="-slim"
ARG BASE=${REGISTRY}/node:${VERSION}${VARIANT}

FROM --platform=${BUILDPLATFORM} ${BASE} AS build-any
ARG TARGETPLATFORM TARGETOS TARGETARCH TARGETVARIANT
ARG VERSION
WORKDIR /src
COPY package.json package-lock.json ./
RUN npm ci
COPY . .
RUN target="${TARGETOS}-${TARGETARCH}${TARGETVARIANT:+-$TARGETVARIANT}"; \
    case "$TARGETPLATFORM" in \
      linux/arm64) export CROSS=aarch64-linux-gnu- ;; \
      linux/arm/*) export CROSS=arm-linux-gnueabihf- ;; \
      *)           : ;; \
    esac; \
    echo "$target" > /target && npm run build

FROM ${BASE} AS runtime
ARG VERSION
LABEL org.opencontainers.image.version="${VERSION}" org.opencontainers.image.title="node"
COPY --from=build-any /src/dist /target /opt/app/
ENTRYPOINT ["node", "dist/main.js"]
