# kiln says: COPY requires at least two arguments, but only one was provided. Destination could not be determined
# docker says: COPY requires at least two arguments, but only one was provided. Destination could not be determined
ARG REGISTRY
FROM ${REGISTRY}/busybox
COPY one.txt
