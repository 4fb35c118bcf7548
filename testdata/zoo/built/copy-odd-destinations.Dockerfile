ARG REGISTRY
FROM ${REGISTRY}/busybox
COPY one.txt/ /slash
COPY nothing* /x/
COPY one.txt two.txt /several
