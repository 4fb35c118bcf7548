ARG REGISTRY
FROM ${REGISTRY}/busybox AS a
RUN touch /a
FROM a AS b
RUN touch /b
FROM ${REGISTRY}/busybox
COPY --from=1 /b /b
COPY --from=a /a /a
