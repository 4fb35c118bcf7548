# kiln says: cannot replace the directory /full/sub with a file
# docker says: cannot replace to directory
ARG REGISTRY
FROM ${REGISTRY}/busybox
RUN mkdir -p /full/sub
COPY other/sub /full/sub/x/
COPY other /full
