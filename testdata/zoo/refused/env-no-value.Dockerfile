# kiln says: ENV must have two arguments
# docker says: ENV must have two arguments
ARG REGISTRY
FROM ${REGISTRY}/busybox
ENV ONLY
