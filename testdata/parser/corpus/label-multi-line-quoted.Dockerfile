FROM alpine
LABEL description="first line \
second line \
third"
ENV SCRIPT="a; \
  b; \
c"
