# kiln says: /dir is not a directory
# docker says: cannot copy to non-directory
ARG REGISTRY
FROM ${REGISTRY}/busybox
RUN touch /dir
COPY dir /dir
