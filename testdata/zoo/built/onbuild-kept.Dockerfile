ARG REGISTRY
FROM ${REGISTRY}/busybox
ONBUILD RUN echo "$HOME" && echo 'x'
onbuild copy a b
ONBUILD   ENV  A=b
ONBUILD LABEL a="b c"
