ARG REGISTRY
FROM ${REGISTRY}/busybox
RUN mkdir -p /dir/sub /full && echo old > /file && chmod 600 /file && chown 3:4 /file && echo old > /dir/a.txt \
    && chmod 700 /dir /dir/sub && chown 3:4 /dir && touch /full/kept && ln /file /hard && ln -s /file /link && ln -s /full /link-to-dir
COPY one.txt /file
COPY dir /dir
COPY dir /full
COPY two.txt /link
COPY two.txt /link-to-dir/
COPY dir/a.txt /link-to-dir
COPY one.txt /full
