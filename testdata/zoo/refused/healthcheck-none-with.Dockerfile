# kiln says: HEALTHCHECK NONE takes no arguments
# docker says: HEALTHCHECK NONE takes no arguments
ARG REGISTRY
FROM ${REGISTRY}/busybox
HEALTHCHECK NONE now
