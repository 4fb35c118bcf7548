# syntax=docker/dockerfile:1
FROM scratch
ADD https://example.com/archive.zip /usr/src/things/
ADD --checksum=sha256:24454f830cdb571e2c4ad15481119c43b3cafd48dd869a9b2945d1036d1dc68d https://mirrors.example.org/linux/kernel/v0.01/linux-0.01.tar.gz /
ADD --chown=10:11 --chmod=0644 http://example.com/a?b=c%20d&e=f /file
ADD --unpack=true https://example.com/rootfs.tar.xz /
