# arguments: --target middle
ARG REGISTRY
FROM ${REGISTRY}/busybox AS first
ENV FIRST=1
FROM first AS middle
COPY one.txt /
CMD ["middle"]
FROM middle AS last
RUN echo never; exit 1
