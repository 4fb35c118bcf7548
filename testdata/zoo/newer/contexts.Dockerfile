# arguments: --build-context other=ZOO/other --build-context stage=ZOO/project
ARG REGISTRY
FROM ${REGISTRY}/busybox AS stage
RUN touch /marker
FROM ${REGISTRY}/busybox
COPY --from=other . /other/
COPY --from=other a.txt /single
RUN --mount=type=bind,from=other,target=/m ls /m > /mounted
COPY --from=stage README.md /replaced
