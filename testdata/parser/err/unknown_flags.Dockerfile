FROM debian:12
COPY --form=a b c
COPY --chwon=a b c
RUN --mnt=x y
CMD --x y
RUN --no-such a
FROM --plattform=x debian
HEALTHCHECK --intervall=1s CMD a
ARG --x A
