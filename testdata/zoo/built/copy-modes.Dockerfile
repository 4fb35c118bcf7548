# docker differs: modes/capable: BuildKit loses the capabilities of a context's files when it sets their owner
# docker differs: capable: the same
ARG REGISTRY
FROM ${REGISTRY}/busybox
COPY modes /modes
COPY modes/file-4755 /copied-4755
COPY modes/file-0000 modes/file-1644 /several/
COPY modes/dir-1777 /copied-1777
COPY modes/dir-2770/ /existing-mode/
COPY modes/dir-0700 modes/dir-0711 /merged/
COPY modes/capable /capable
