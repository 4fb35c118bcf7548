# kiln says: 404 Not Found
# docker says: absent:latest: not found
ARG REGISTRY
FROM ${REGISTRY}/absent
RUN true
