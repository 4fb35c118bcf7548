ARG REGISTRY
FROM ${REGISTRY}/busybox
RUN mkdir -p /real/below && ln -s /real /abs && ln -s real /rel && ln -s ../real /etc/up && ln -s /abs/below /chain \
    && ln -s ../../../../real /out && mkdir /links && ln -s /nowhere/yet /links/dangling
COPY one.txt /abs/one
COPY one.txt /rel/two
COPY one.txt /etc/up/three
COPY one.txt /chain/four
COPY one.txt /out/five
COPY dir /abs/dir
COPY dir/ /chain/
COPY one.txt /abs/new/dir/
COPY one.txt /links/dangling/six
