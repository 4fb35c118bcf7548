ARG REGISTRY
FROM ${REGISTRY}/busybox
COPY project /p/
