ARG REGISTRY
FROM ${REGISTRY}/busybox
COPY one.txt /file
COPY two.txt /file
COPY dir /tree
COPY other/a.txt /tree/
COPY --chown=1:2 dir/sub /tree/sub
COPY --chmod=700 dir /tree
