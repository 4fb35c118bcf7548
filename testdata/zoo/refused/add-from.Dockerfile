# kiln says: unknown flag: --from
# docker says: Unknown flag: from
ARG REGISTRY
FROM ${REGISTRY}/busybox
ADD --from=0 one.txt /x
