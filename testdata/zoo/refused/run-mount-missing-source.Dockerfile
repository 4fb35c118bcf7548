# kiln says: missing is not in the build context
# docker says: "/missing" not found: not found
ARG REGISTRY
FROM ${REGISTRY}/busybox
RUN --mount=source=missing,target=/x true
