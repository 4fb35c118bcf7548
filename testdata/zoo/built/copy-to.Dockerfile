ARG REGISTRY
FROM ${REGISTRY}/busybox
WORKDIR /app
COPY one.txt .
COPY two.txt ./
COPY one.txt ..
COPY one.txt sub/
COPY one.txt sub/two/three
COPY dir .
COPY one.txt /app/../etc/./renamed
COPY one.txt ../../../../top
WORKDIR sub
COPY three.md ./here
COPY one.txt /
COPY dir /
