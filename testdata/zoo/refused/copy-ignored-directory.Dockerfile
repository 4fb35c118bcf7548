# kiln says: dir/sub/c.txt is not in the build context
# docker says: "/dir/sub/c.txt" not found: not found
ARG REGISTRY
FROM ${REGISTRY}/busybox
COPY dir/sub/c.txt /x
