FROM debian:12
RUN one \
    two \   
  three
RUN \
  four
RUN five \\
RUN s\
ix
ENV A=a \
    B="b \
c" \
    C=c\
d
COPY a\
b \
  c/ \
  /dst/
LABEL a=b \
