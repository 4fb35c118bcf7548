# escape=`
FRM debian
RUN a
FROM debian AS Build
COPY --form=x a
ENV A
HEALTHCHECK --interval=x CMD ["a", 1]
MAINTAINER me
