# kiln says: missing.txt is not in the build context
# docker says: "/missing.txt" not found: not found
ARG REGISTRY
FROM ${REGISTRY}/busybox
COPY missing.txt /
