ARG REGISTRY
FROM ${REGISTRY}/busybox
ADD --unpack archives/zipped.tar.gz /one/
ADD --unpack=false archives/zipped.tar.gz /two/
ADD --unpack=true archives/nameless archives/plain.tar /three/
ADD --unpack=false archives/plain.tar /four
ADD archives/zipped.tar.zst /zst/
ADD --unpack one.txt /five/
