# kiln says: FROM requires either one or three arguments
# docker says: FROM requires either one or three arguments
ARG REGISTRY
FROM ${REGISTRY}/busybox WITH name
RUN true
