ARG REGISTRY
FROM ${REGISTRY}/busybox
RUN mkdir -m 777 /out
USER worker
RUN id > /out/worker
USER worker:daemon
RUN id > /out/worker-daemon
USER 1000
RUN id > /out/number
USER 77
RUN id > /out/unknown
USER 1000:1
RUN id > /out/numbers
