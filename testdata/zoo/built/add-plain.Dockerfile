ARG REGISTRY
FROM ${REGISTRY}/busybox
ADD one.txt dir links/absolute /several/
ADD --chown=worker dir /owned/
ADD --chmod=600 one.txt /mode
ADD names/star* /star/
