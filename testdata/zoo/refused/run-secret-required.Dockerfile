# kiln says: the secret `absent` is required, and the build was not given it
# docker says: secret absent not found: not found
ARG REGISTRY
FROM ${REGISTRY}/busybox
RUN --mount=type=secret,id=absent,required=true true
