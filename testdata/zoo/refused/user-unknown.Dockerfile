# kiln says: unable to find user nobody-knows: no matching entry in the image's /etc/passwd
# docker says: executor failed running [/bin/sh -c true]: unable to find user nobody-knows: no matching entries in passwd file
ARG REGISTRY
FROM ${REGISTRY}/busybox
USER nobody-knows
RUN true
