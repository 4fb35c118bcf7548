# kiln says: missing.tar is not in the build context
# docker says: "/missing.tar" not found: not found
ARG REGISTRY
FROM ${REGISTRY}/busybox
ADD missing.tar /x
