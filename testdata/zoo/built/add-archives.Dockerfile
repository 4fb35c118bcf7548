ARG REGISTRY
FROM ${REGISTRY}/busybox
ADD archives/plain.tar /plain
ADD archives/zipped.tar.gz /gz/
ADD archives/zipped.tar.bz2 /bz2/
ADD archives/zipped.tar.xz /xz/
ADD archives/nameless /nameless/
ADD archives/picture.png /picture/
ADD archives/empty.tar /empty/
ADD archives/text.tar /text/
ADD archives/zipped.tar.gz one.txt /mixed/
ADD archives/*.tar.gz /wild/
COPY archives/zipped.tar.gz /copied/
