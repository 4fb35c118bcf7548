# kiln says: invalid name for build stage: "1st", name can't start with a number or contain symbols
# docker says: invalid name for build stage: "1st", name can't start with a number or contain symbols
ARG REGISTRY
FROM ${REGISTRY}/busybox AS 1st
RUN true
