# kiln says: missing is not in the build context
# docker says: "/missing" not found: not found
ARG REGISTRY
FROM ${REGISTRY}/busybox AS parent
ONBUILD COPY missing /x
FROM parent
RUN true
