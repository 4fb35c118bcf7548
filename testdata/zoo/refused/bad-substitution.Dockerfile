# kiln says: unsupported modifier (:x) in substitution
# docker says: failed to process "/${A:x}": unsupported modifier (x) in substitution
ARG REGISTRY
FROM ${REGISTRY}/busybox
COPY one.txt /${A:x}
