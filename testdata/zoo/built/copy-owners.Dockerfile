# docker differs: capable: BuildKit loses the capabilities of a context's files when it sets their owner
# docker differs: large: BuildKit takes a number above 2147483647 for an unknown name, and that for root
ARG REGISTRY
FROM ${REGISTRY}/busybox
COPY modes/owned modes/large /kept/
COPY --chown=5 modes/owned /number
COPY --chown=5:6 modes/file-4755 modes/file-6711 /setuid/
COPY --chown=worker modes/dir-2770 /name/
COPY --chown=worker:extra modes/dir-1777 /names/
COPY --chown=:extra one.txt /group-only
COPY --chown=worker:77 one.txt /mixed
COPY --chown=77:extra one.txt /mixed-too
COPY --chown=4294967294:4000000000 one.txt /large
COPY --chown=daemon:daemon links /links
COPY --chown=daemon dir /made/parents/are/whose
COPY --chown=worker modes/capable /capable
