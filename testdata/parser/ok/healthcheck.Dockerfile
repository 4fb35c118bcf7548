FROM debian:12
HEALTHCHECK NONE
HEALTHCHECK none
HEALTHCHECK CMD curl -f http://localhost/ || exit 1
HEALTHCHECK --interval=5m --timeout=3s --start-period=1m30s --start-interval=500ms --retries=3 cmd ["a", "b"]
HEALTHCHECK --interval=0s --timeout= --retries=0 CMD a
HEALTHCHECK --interval=30s \
  --retries=+2 \
  CMD  a  b
