FROM --platform=${TARGETPLATFORM} debian:12 AS a
FROM a
