# kiln says: unsupported mount type "wrong"
# docker says: unsupported mount type "wrong"
ARG REGISTRY
FROM ${REGISTRY}/busybox
RUN --mount=type=wrong,target=/x true
