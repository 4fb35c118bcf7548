ARG REGISTRY
FROM ${REGISTRY}/busybox AS tree
RUN mkdir -p /t/dir && echo x > /t/dir/in && chown 5:6 /t/dir && chmod 2750 /t/dir && ln -s dir/in /t/link
FROM ${REGISTRY}/busybox
COPY --link --from=tree /t /t
COPY --link --from=tree /t/link /t/dir/ /several/
COPY --link --from=tree --chown=5 /t/dir /owned
