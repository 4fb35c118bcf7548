ARG REGISTRY
FROM ${REGISTRY}/busybox
COPY links/up/one.txt /up
COPY links/*/inside /all-below/
COPY links/to-dir/../file /dot-dot
