# docker differs: several*: BuildKit copies one file over the other, kiln takes a name for several files for a directory
ARG REGISTRY
FROM ${REGISTRY}/busybox
COPY one.txt/ /slash
COPY nothing* /x/
COPY one.txt two.txt /several
