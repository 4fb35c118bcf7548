ARG P=linux/arm64
FROM --platform=$BUILDPLATFORM debian:12 AS a
FROM --platform=$P debian:12
