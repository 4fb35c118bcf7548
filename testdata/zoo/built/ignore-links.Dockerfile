ARG REGISTRY
FROM ${REGISTRY}/busybox
COPY project /p/
COPY project/link-to-src /linked
