# docker differs: a/b/c: BuildKit makes the directory that `..` leaves, kiln cleans the path first
ARG REGISTRY
FROM ${REGISTRY}/busybox
RUN mkdir -p /real/deep && chown 5:6 /real && chmod 711 /real && ln -s /real /link && ln -s nowhere /dangling
WORKDIR /link/sub
RUN pwd > here; readlink -f . >> here
ENV DIR=vars
WORKDIR ${DIR}/${UNSET:-default}
RUN pwd > here
WORKDIR "with space"
RUN pwd > here
WORKDIR ../../..
RUN pwd > here
WORKDIR .
WORKDIR /a//b/./c/../d/
RUN pwd > here
WORKDIR /link
WORKDIR deep
WORKDIR /dangling/below
RUN pwd > here
USER worker
WORKDIR /by/worker
