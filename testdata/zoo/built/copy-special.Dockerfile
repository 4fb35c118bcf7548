# docker differs: special/fifo: Debian's BuildKit leaves FIFOs out
# docker differs: a-fifo: the same
# docker differs: wild/fifo: the same
# docker differs: special/socket: BuildKit makes an empty file of a socket, kiln leaves it out
ARG REGISTRY
FROM ${REGISTRY}/busybox
COPY special /special
COPY special/fifo /a-fifo
COPY special/f* /wild/
