ARG REGISTRY
FROM ${REGISTRY}/busybox
ADD archives/twice.tar /twice/
