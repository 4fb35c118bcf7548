ARG REGISTRY
FROM ${REGISTRY}/busybox
LABEL a="x\
y"
EXPOSE 53/udp 53/tcp 1000-1002/sctp
VOLUME ["/v"]
STOPSIGNAL 37
SHELL ["/bin/sh", "-c"]
CMD exec echo "$E"
