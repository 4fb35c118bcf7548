# kiln says: WORKDIR requires exactly one argument
# docker says: WORKDIR requires exactly one argument
ARG REGISTRY
FROM ${REGISTRY}/busybox
WORKDIR
