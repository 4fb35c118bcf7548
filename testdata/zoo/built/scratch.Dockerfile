FROM scratch
COPY one.txt /
COPY dir /dir
ADD archives/plain.tar /
ENV A=b
WORKDIR /work
