# kiln says: unexpected end of statement while looking for matching double-quote
# docker says: failed to process "\"open": unexpected end of statement while looking for matching double-quote
ARG REGISTRY
FROM ${REGISTRY}/busybox
ENV A="open
