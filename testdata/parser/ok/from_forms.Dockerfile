ARG VERSION=12
FROM scratch
FROM debian
FROM debian:${VERSION} AS base
from --platform=$BUILDPLATFORM registry.example:5000/a/b@sha256:0123 as tools.v2_x-1
FROM 0
FROM base
