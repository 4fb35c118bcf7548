FROM debian:12
RUN"a"
ENV=b
CMD["a"]
FROM:debian
COPY. /a
LABEL"a"=b
#RUN a
RUN#a
