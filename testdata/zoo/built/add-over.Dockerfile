ARG REGISTRY
FROM ${REGISTRY}/busybox
ADD archives/plain.tar /over/
ADD archives/over.tar /over/
ADD archives/plain.tar /over/sub/
