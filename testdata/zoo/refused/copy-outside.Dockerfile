# kiln says: outside is not in the build context
# docker says: "/outside" not found: not found
ARG REGISTRY
FROM ${REGISTRY}/busybox
COPY ../outside /x
