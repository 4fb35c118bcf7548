# escape=`
FROM debian:12
COPY <<a `
  /x
C:\dir `
a
RUN <<b
x `
b
