ARG REGISTRY
FROM ${REGISTRY}/busybox
RUN touch /zero
FROM ${REGISTRY}/busybox AS one
RUN touch /one
FROM one AS two
RUN touch /two
FROM scratch AS three
COPY one.txt /three
FROM ${REGISTRY}/busybox
COPY --from=0 /zero /
COPY --from=1 /one /
COPY --from=TWO /two /
COPY --from=three /three /
