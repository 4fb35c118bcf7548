ARG REGISTRY
FROM ${REGISTRY}/busybox
COPY names /names
