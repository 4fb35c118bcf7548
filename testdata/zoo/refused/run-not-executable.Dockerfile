# kiln says: cannot execute `/etc/passwd`: Permission denied (os error 13)
# docker says: executor failed running [/etc/passwd]: exit code: 1
ARG REGISTRY
FROM ${REGISTRY}/busybox
RUN ["/etc/passwd"]
