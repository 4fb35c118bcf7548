# kiln says: /file is not a directory
# docker says: /file/below: not a directory
ARG REGISTRY
FROM ${REGISTRY}/busybox
RUN touch /file
WORKDIR /file/below
