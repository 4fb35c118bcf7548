ARG REGISTRY
FROM ${REGISTRY}/busybox
RUN mkdir -p /dir/sub /real && chmod 700 /dir && ln -s /real /to && touch /dir/kept
COPY --link --chmod=755 one.txt /dir
COPY --link --chmod=u=rw,go= dir /to/dir
ADD --link --chmod=4755 one.txt /to/added
COPY --link one.txt /linked
