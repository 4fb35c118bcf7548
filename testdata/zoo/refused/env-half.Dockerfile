# kiln says: Syntax error - can't find = in "C". Must be of the form: name=value
# docker says: Syntax error - can't find = in "C". Must be of the form: name=value
ARG REGISTRY
FROM ${REGISTRY}/busybox
ENV A=b C
