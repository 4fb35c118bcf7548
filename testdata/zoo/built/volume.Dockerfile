ARG REGISTRY
FROM ${REGISTRY}/busybox
RUN mkdir -p /data/sub && echo before > /data/before && chown 5:6 /data && chmod 700 /data
VOLUME /data /json '/quoted'
VOLUME ["/a b", "/c"]
ENV V=/var/vol
VOLUME $V
RUN echo after > /data/after; chmod 755 /data; mkdir -p /c && touch /c/made
COPY one.txt /data/copied
