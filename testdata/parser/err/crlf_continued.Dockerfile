FROM debian:12
COPY \
  # between
  --chwon=b \
  a b
RUN <<EOF
a
 EOF
