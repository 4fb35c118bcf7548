# kiln says: SHELL requires the arguments to be in JSON form
# docker says: SHELL requires the arguments to be in JSON form
ARG REGISTRY
FROM ${REGISTRY}/busybox
SHELL /bin/sh -c
