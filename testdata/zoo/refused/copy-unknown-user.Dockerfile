# kiln says: unable to find user nobody-knows: no matching entry in the image's /etc/passwd
# docker builds it: BuildKit takes an unknown owner for root; its documentation says that the build fails
ARG REGISTRY
FROM ${REGISTRY}/busybox
COPY --chown=nobody-knows one.txt /
