# kiln says: nothing.invalid cannot be resolved
# docker says: no such host
ARG REGISTRY
FROM ${REGISTRY}/busybox
COPY --from=nothing.invalid/there /x /
