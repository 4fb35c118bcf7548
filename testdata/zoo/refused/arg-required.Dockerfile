# kiln says: syntax error: missing '}' in ${}
# docker says: failed to process "/${A:?is": syntax error: missing '}'
ARG REGISTRY
FROM ${REGISTRY}/busybox
ARG A
RUN echo ${A}
COPY one.txt /${A:?is needed}
