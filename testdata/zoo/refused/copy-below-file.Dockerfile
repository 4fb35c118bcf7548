# kiln says: /file is not a directory
# docker says: /file: not a directory
ARG REGISTRY
FROM ${REGISTRY}/busybox
RUN touch /file
COPY one.txt /file/below
