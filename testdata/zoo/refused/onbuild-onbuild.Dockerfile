# kiln says: Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed
# docker says: Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed
ARG REGISTRY
FROM ${REGISTRY}/busybox
ONBUILD ONBUILD RUN true
