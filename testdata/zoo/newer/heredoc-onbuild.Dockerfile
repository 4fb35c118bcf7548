ARG REGISTRY
FROM ${REGISTRY}/busybox AS parent
ENV NAME=parent
ONBUILD COPY one.txt /config
ONBUILD RUN echo $NAME > /ran
FROM parent
RUN cat /config > /copy
