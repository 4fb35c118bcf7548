# kiln says: VOLUME requires at least one argument
# docker says: VOLUME requires at least one argument
ARG REGISTRY
FROM ${REGISTRY}/busybox
VOLUME
