FROM debian:12
ENV A some text = "here"
ENV B   b
ENV C	c  d
LABEL d the description
ENV E e \
  f
