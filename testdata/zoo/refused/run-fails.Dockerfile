# kiln says: the command exited with code 3
# docker says: executor failed running [/bin/sh -c echo before; exit 3]: exit code: 3
ARG REGISTRY
FROM ${REGISTRY}/busybox
RUN echo before; exit 3
