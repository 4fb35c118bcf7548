# kiln says: unknown instruction: RUNN
# docker says: unknown instruction: RUNN
ARG REGISTRY
FROM ${REGISTRY}/busybox
RUNN true
