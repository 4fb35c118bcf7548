# arguments: --target nowhere
# kiln says: target stage "nowhere" could not be found
# docker says: target stage nowhere could not be found
ARG REGISTRY
FROM ${REGISTRY}/busybox
RUN true
