# kiln says: syntax error: missing '}'
# docker says: failed to process "/${A": missing ':' in substitution
ARG REGISTRY
FROM ${REGISTRY}/busybox
COPY one.txt /${A
