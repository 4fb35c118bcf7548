ARG REGISTRY
FROM ${REGISTRY}/busybox AS parent
RUN echo parent > /marker
ONBUILD COPY one.txt /onbuild/
ONBUILD ARG TRIGGER=default
ONBUILD RUN echo "$TRIGGER" > /trigger
ONBUILD ENV SET=by-trigger
ONBUILD WORKDIR /triggered
ONBUILD CMD ["triggered"]
ENV PARENT=1
FROM parent
COPY --from=parent /marker /from-parent
RUN echo child > /child
