ARG REGISTRY
FROM ${REGISTRY}/busybox
# What is copied replaces a link of the same name; a directory goes through one.
RUN mkdir /target /dest && ln -s /target /dest/real && ln -s /target/file /dest/file && ln -s nowhere /dest/relative
COPY links/file /dest/file
COPY links/real/inside /dest/relative
COPY dir /dest/real
