# kiln says: invalid port "port": "port" is no number from 0 to 65535
# docker says: Invalid containerPort: port
ARG REGISTRY
FROM ${REGISTRY}/busybox
EXPOSE port
