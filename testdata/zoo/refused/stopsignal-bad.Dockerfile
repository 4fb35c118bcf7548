# kiln says: invalid signal: SIGNOTHING
# docker says: Invalid signal: SIGNOTHING
ARG REGISTRY
FROM ${REGISTRY}/busybox
STOPSIGNAL SIGNOTHING
