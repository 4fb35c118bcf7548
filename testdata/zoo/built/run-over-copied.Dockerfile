ARG REGISTRY
FROM ${REGISTRY}/busybox
COPY dir /dir
RUN rm /dir/a.txt && mv /dir/sub /dir/moved && echo new >> /dir/b.md && chmod 600 /dir/moved/c.txt
COPY dir /dir
RUN rm -r /dir && mkdir /dir
COPY one.txt /dir/
