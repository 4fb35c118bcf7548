ARG REGISTRY
FROM ${REGISTRY}/busybox
ADD archives/links.tar /links/
ADD links/relative /followed
ADD links/to-dir /followed-dir
