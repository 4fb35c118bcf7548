# kiln says: FROM isn't allowed as an ONBUILD trigger
# docker says: FROM isn't allowed as an ONBUILD trigger
ARG REGISTRY
FROM ${REGISTRY}/busybox
ONBUILD FROM x
