FROM \
  debian:12 \
  # the name
  AS \
  base
COPY \
  --chown=a \
  --link \
  b \
  /c
ENV \
  A=1 \
  B=2
