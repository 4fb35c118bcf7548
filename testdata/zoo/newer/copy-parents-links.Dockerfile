ARG REGISTRY
FROM ${REGISTRY}/busybox
COPY --parents links/real/inside links/relative /links/
COPY --parents links/./to-dir /dir/
COPY --parents links/* /all/
