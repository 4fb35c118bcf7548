# kiln says: one.txt is not in the build context
# docker says: "/one.txt" not found: not found
ARG REGISTRY
FROM ${REGISTRY}/busybox
COPY one.txt /x
