ARG REGISTRY
FROM ${REGISTRY}/busybox
RUN mkdir /real && ln -s /real /link && ln -s /real /real/sub
ADD archives/plain.tar /link/
ADD archives/links.tar /link/below/
