# kiln says: names that begin with `.wh.` stand for deleted files
# docker builds it: what such a file makes of the layer is nobody's wish
ARG REGISTRY
FROM ${REGISTRY}/busybox
ADD archives/whiteouts.tar /over/
