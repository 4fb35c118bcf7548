ARG REGISTRY=docker.io REPO
FROM --platform=linux/${ARCH:-amd64} ${REGISTRY}/${REPO:-library/debian}:12 AS a
FROM --platform="$TARGETPLATFORM" a
