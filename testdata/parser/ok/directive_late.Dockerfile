FROM debian
# escape=`
# syntax=a/b
RUN a \
  b
