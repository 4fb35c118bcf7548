ARG V
FROM --platform='linux/arm64' localhost:5000/a/b:c@sha256:0123 AS a-b_c.d
FROM --platform=linux/$ARCH${VARIANT:+/$VARIANT} $IMAGE${V:+:$V}
FROM	a-b_c.d	as	tabs
FROM "quoted" AS q
FROM ${BASE:-"debian:12"}
FROM SCRATCH
