# kiln says: invalid mount target ""
# docker says: invalid mount target "/"
ARG REGISTRY
FROM ${REGISTRY}/busybox
RUN --mount=type=cache true
