ARG REGISTRY
FROM ${REGISTRY}/busybox AS tree
RUN mkdir -m 2770 /t && chown 7:8 /t && touch /t/f && ln -s t /l
FROM ${REGISTRY}/busybox
COPY modes/dir-0700 /new
COPY modes/dir-2770 /made/by/copy
COPY --chown=5:6 modes/dir-1777 /owned
COPY --chmod=2750 modes/dir-0700 /octal
COPY --chmod=u=rwx,go= modes/dir-0711 /symbolic
COPY --from=tree /t /stage
COPY --from=tree /l /link
COPY --link modes/dir-0700 /linked
