# kiln says: unable to find group nobody-knows: no matching entry in the image's /etc/group
# docker says: executor failed running [/bin/sh -c true]: unable to find group nobody-knows: no matching entries in group file
ARG REGISTRY
FROM ${REGISTRY}/busybox
USER worker:nobody-knows
RUN true
