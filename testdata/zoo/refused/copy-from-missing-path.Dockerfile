# kiln says: no/such is not in image
# docker says: /no/such: no such file or directory
ARG REGISTRY
FROM ${REGISTRY}/busybox
FROM ${REGISTRY}/busybox
COPY --from=0 /no/such /
