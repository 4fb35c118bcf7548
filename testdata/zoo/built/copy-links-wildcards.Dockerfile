ARG REGISTRY
FROM ${REGISTRY}/busybox
COPY links/re* /wild/
COPY links/to-*/in* /wild-below/
COPY links/cha[i]n /one
