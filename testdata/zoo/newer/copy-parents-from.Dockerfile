ARG REGISTRY
FROM ${REGISTRY}/busybox AS tree
RUN mkdir -p /t/dir && echo x > /t/dir/in && chown 5:6 /t /t/dir && chmod 2750 /t /t/dir && ln -s dir /t/link
FROM ${REGISTRY}/busybox
COPY --from=tree --parents /t/./dir/in /one/
COPY --from=tree --parents t/dir /two/
COPY --from=tree --parents /t/./*/in /three
COPY --from=tree --parents /t/./link /four/
