# kiln says: invalid duration "5" for --interval
# docker says: time: missing unit in duration "5"
ARG REGISTRY
FROM ${REGISTRY}/busybox
HEALTHCHECK --interval=5 CMD true
