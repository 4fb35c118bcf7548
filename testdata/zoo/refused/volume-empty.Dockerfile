# kiln says: VOLUME specified can not be an empty string
# docker says: VOLUME specified can not be an empty string
ARG REGISTRY
FROM ${REGISTRY}/busybox
VOLUME ["  "]
