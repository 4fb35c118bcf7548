# check=experimental=InvalidDefinitionDescription
# VERSION of the tool
ARG VERSION=1
# base of all others
FROM alpine:${VERSION} AS base
