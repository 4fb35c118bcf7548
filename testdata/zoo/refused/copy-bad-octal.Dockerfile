# kiln says: invalid chmod parameter: '999'. it should be octal string and between 0 and 07777
# docker builds it: the same
ARG REGISTRY
FROM ${REGISTRY}/busybox
COPY --chmod=999 one.txt /
