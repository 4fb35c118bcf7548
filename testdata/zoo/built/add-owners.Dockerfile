ARG REGISTRY
FROM ${REGISTRY}/busybox
ADD archives/owners.tar /owners/
