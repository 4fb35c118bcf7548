ARG REGISTRY=docker.io
ARG PROJECT=library
FROM ${REGISTRY}/${PROJECT}/debian:bookworm AS build
FROM ${REGISTRY:-docker.io}/${PROJECT}/debian:bookworm-slim
COPY --from=build /etc/os-release /build-os-release
