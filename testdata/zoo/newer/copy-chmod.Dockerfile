# BuildKit loses the capabilities of a context's files when it sets their owner.
ARG REGISTRY
FROM ${REGISTRY}/busybox
COPY --chmod=0640 one.txt /octal
COPY --chmod=4711 one.txt /setuid
COPY --chmod=1777 dir /sticky
COPY --chmod=0 one.txt /none
COPY --chmod=0755 modes /modes
COPY --chmod=600 links /links
COPY --chmod=750 one.txt /made/on/the/way
COPY --chmod=444 special/fifo /fifo
