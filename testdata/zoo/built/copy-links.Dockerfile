ARG REGISTRY
FROM ${REGISTRY}/busybox
COPY links /links
COPY links/file links/real/inside /files/
