FROM --platform=$BUILDPLATFORM debian:12 AS a
FROM --platform=$TARGETOS/arm64 debian:12
