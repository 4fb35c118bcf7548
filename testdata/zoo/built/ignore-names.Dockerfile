# docker differs: all/special/fifo: Debian's BuildKit leaves FIFOs out
# docker differs: all/special/socket: BuildKit makes an empty file of a socket, kiln leaves it out
# docker differs: all/modes/capable: BuildKit loses the capabilities of a context's files when it sets their owner
ARG REGISTRY
FROM ${REGISTRY}/busybox
COPY project /p/
COPY . /all/
