# kiln says: cannot take files from stage "two": it is defined later in the file
# docker says: circular dependency detected on stage: one
ARG REGISTRY
FROM ${REGISTRY}/busybox AS one
COPY --from=two /x /
FROM ${REGISTRY}/busybox AS two
COPY --from=one /x /
