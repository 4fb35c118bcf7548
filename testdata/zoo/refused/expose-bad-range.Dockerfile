# kiln says: invalid port "90-80": the range 90-80 runs backwards
# docker says: Invalid containerPort: 90-80
ARG REGISTRY
FROM ${REGISTRY}/busybox
EXPOSE 90-80
