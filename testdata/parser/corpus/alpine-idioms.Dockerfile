FROM alpine:3.19
RUN apk add --no-cache --virtual .deps gcc make musl-dev \
 && wget -O- https://src.example.org/tool-1.2.tar.gz | tar xz \
 && cd tool-1.2 && ./configure --prefix=/usr && make -j "$(getconf _NPROCESSORS_ONLN)" install \
 && cd .. && rm -rf tool-1.2 \
 && apk del .deps
ENTRYPOINT ["tool"]
