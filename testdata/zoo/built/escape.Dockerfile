# escape=`
ARG REGISTRY
FROM ${REGISTRY}/busybox
ENV A=C:\Windows B=`$A
RUN echo `
   continued > /1
COPY one.txt `
  /one\file
LABEL p="c:\x" q=`"
