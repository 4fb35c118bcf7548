ARG A=B=C
ARG "Q"='r s' T=\"
FROM debian:12
ARG A
ARG A= B="" C=''
ARG D=${A:-x}/$B E="a \
b" \
  # between
  F
arg lower=UPPER
