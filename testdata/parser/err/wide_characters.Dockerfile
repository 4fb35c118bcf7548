FROM debian:12
LABEL 日本="語" é ö=ü
COPY --chown=😀 --chwon=x a b
ÉNV A=b
RUN --mount=type=cache,target=/日本,sharing=lockéd x
