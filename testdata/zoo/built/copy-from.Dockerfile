# docker differs: whole/dev: Debian's BuildKit copies a device as an empty file
# docker differs: slash/dev: the same
# docker differs: root/t/dev: the same
# docker differs: dev-copied: the same
# docker differs: whole/fifo: Debian's BuildKit leaves FIFOs out
# docker differs: slash/fifo: the same
# docker differs: root/t/fifo: the same
# docker differs: fifo: the same
ARG REGISTRY
FROM ${REGISTRY}/busybox AS tree
RUN mkdir -p /t/dir /t/opaque && cd /t && echo x > file && ln -s file rel && ln -s /t/file abs && ln -s dir dirlink && echo y > dir/in && mkfifo fifo \
    && mknod dev c 1 3 && ln file hard && ln rel hard-link-to-link && cp file setuid && chown 5:6 setuid && chmod 4755 setuid && chmod 2750 dir && chown 7:8 dir && ln -s nowhere broken && mkdir empty
RUN rm /bin/[a-z]* 2>/dev/null; true
FROM ${REGISTRY}/busybox
COPY --from=tree /t /whole
COPY --from=tree /t/ /slash/
COPY --from=tree t/rel /relative-source
COPY --from=tree /t/rel /t/abs /followed/
COPY --from=tree /t/dirlink /dirlink
COPY --from=tree /t/dirlink/ /dirlink-slash/
COPY --from=tree /t/fifo /fifo
COPY --from=tree /t/dev /dev-copied
COPY --from=tree /t/h* /hard/
COPY --from=tree --chown=9:8 /t/set* /owned/
COPY --from=tree / /root/
