FROM --plattform=linux/amd64 debian
COPY --form=a b c
COPY --chwon=a --chmdo=1 --lnk b c
COPY --excludes=a b c
ADD --cheksum=a --keep-gitdir --unpak b c
RUN --mout=type=cache --netwrok=none --secrity=insecure --devices=x a
HEALTHCHECK --intervall=1s --retry=2 --start_period=1s CMD a
