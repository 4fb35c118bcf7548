# kiln says: RUN requires at least one argument
# docker builds it: an empty command does nothing; more likely it was forgotten
ARG REGISTRY
FROM ${REGISTRY}/busybox
RUN
