# kiln says: executable file `/no/such/command` not found
# docker says: executor failed running [/no/such/command]: exit code: 1
ARG REGISTRY
FROM ${REGISTRY}/busybox
RUN ["/no/such/command"]
