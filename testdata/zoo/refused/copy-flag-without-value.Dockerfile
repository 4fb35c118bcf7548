# kiln says: missing a value on flag: --chown
# docker says: Missing a value on flag: chown
ARG REGISTRY
FROM ${REGISTRY}/busybox
COPY --chown one.txt /
