FROM debian:12
LABEL
LABEL a
LABEL ="x"
LABEL a=b "c d"
LABEL a="b" c = d
LABEL a=b \
  # between
  c \
  d=e
