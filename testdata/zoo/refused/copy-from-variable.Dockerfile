# kiln says: variables are not expanded in --from
# docker says: failed to parse stage name "$S": invalid reference format: repository name must be lowercase
ARG REGISTRY
FROM ${REGISTRY}/busybox
FROM ${REGISTRY}/busybox
ARG S=0
COPY --from=$S /etc/passwd /
