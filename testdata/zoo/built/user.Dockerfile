ARG REGISTRY
FROM ${REGISTRY}/busybox
RUN mkdir -m 777 /out
USER 1000
RUN id -u > /out/1; id -g >> /out/1; echo $HOME >> /out/1; pwd >> /out/1; touch /out/by-1000
USER worker
RUN id -u > /out/2; id -g >> /out/2; echo $HOME >> /out/2
USER daemon:2000
RUN id -u > /out/3; id -g >> /out/3; echo $HOME >> /out/3
USER :extra
RUN id -u > /out/4; id -g >> /out/4
USER 77:88
RUN id -u > /out/5; id -g >> /out/5; echo $HOME >> /out/5
ENV HOME=/elsewhere
RUN echo $HOME > /out/6
USER 0
COPY one.txt /out/copied
