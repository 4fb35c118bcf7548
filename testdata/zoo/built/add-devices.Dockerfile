ARG REGISTRY
FROM ${REGISTRY}/busybox
ADD archives/devices.tar /devices/
