ARG REGISTRY
FROM ${REGISTRY}/busybox
ADD archives/parents.tar /parents/
ADD archives/parents.tar made/
