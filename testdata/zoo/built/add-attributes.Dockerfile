# docker differs: attributes/file: BuildKit keeps no attribute of an archive but capabilities
ARG REGISTRY
FROM ${REGISTRY}/busybox
ADD archives/attributes.tar /attributes/
