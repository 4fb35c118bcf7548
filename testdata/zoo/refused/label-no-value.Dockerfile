# kiln says: LABEL must have two arguments
# docker says: LABEL must have two arguments
ARG REGISTRY
FROM ${REGISTRY}/busybox
LABEL only
