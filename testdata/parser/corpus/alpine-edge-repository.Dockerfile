FROM alpine
RUN echo "@testing http://dl-cdn.example.org/alpine/edge/testing" >> /etc/apk/repositories \
  && apk --update --no-cache add \
      'nodejs>18' \
      some-tool@testing=~1.4 \
  && rm -rf /var/cache/apk/* /tmp/*
