# kiln says: links/dangling is not in the build context
# docker says: "/links/nowhere" not found: not found
ARG REGISTRY
FROM ${REGISTRY}/busybox
COPY links/dangling /x
