# kiln says: unknown flag: --wrong
# docker says: Unknown flag: wrong
ARG REGISTRY
FROM ${REGISTRY}/busybox
RUN --wrong true
