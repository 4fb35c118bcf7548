# kiln says: invalid chmod parameter: 'abc'. it should be octal string and between 0 and 07777
# docker builds it: Debian's BuildKit takes what it cannot read for 0
ARG REGISTRY
FROM ${REGISTRY}/busybox
COPY --chmod=abc one.txt /
