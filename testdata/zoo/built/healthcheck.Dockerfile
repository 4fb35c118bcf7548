ARG REGISTRY
FROM ${REGISTRY}/busybox
HEALTHCHECK --interval=1m30s --timeout=500ms --start-period=1h --retries=3 CMD ["curl", "-f", "http://localhost/"]
