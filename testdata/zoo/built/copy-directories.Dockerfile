ARG REGISTRY
FROM ${REGISTRY}/busybox
COPY dir /as-new
COPY dir/ /as-new-slash/
COPY dir /made/by/copy/
COPY dir/. /dot
COPY dir/sub/.. /dot-dot
COPY ./dir/./sub /unclean
COPY /dir /from-root
COPY dir other/a.txt /merged/
COPY none /none
COPY none/ /bin/
COPY dir dir/sub /flattened/
