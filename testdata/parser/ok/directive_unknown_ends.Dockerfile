# unknown=1
# escape=`
FROM debian
RUN a \
  b
