ARG REGISTRY
FROM ${REGISTRY}/busybox
COPY hard /hard
COPY hard/first hard/second /two/
COPY hard/sub /hard-sub
COPY hard/symlink /symlink
