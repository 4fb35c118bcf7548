FROM debian:12
COPY \
  --chown=a \
  # between
  --chwon=b \
  a \
  b
RU\
NN a
ENV A=1 \
    B \
    C=3
COPY \
  a
