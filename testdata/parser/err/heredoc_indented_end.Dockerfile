FROM debian:12
RUN <<EOF
  echo a
  EOF
RNU seen
