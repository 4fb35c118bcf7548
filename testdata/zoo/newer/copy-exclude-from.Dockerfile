ARG REGISTRY
FROM scratch AS tree
COPY one.txt /t/a.x
COPY one.txt /t/dir/b.x
COPY one.txt /t/dir/b.y
FROM ${REGISTRY}/busybox
COPY --from=tree --exclude=*.x /t /one/
COPY --from=tree --exclude=dir/* --exclude=!dir/b.y /t/ /two/
COPY --from=tree --exclude=t/* / /three/
