ARG REGISTRY
FROM ${REGISTRY}/busybox
RUN echo crlf > /file
COPY one.txt \
  /one
ENV A=b C=d
LABEL x="y"
CMD ["a"]
