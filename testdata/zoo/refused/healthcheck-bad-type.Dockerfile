# kiln says: Unknown type "TEST" in HEALTHCHECK (try CMD)
# docker says: Unknown type "TEST" in HEALTHCHECK (try CMD)
ARG REGISTRY
FROM ${REGISTRY}/busybox
HEALTHCHECK TEST true
