# just words
# escape=`
# syntax=a
FROM debian
RUN a \
  b
