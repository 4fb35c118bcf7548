FROM debian
RUN a \
  b
RUN <<EOF
x
EOF
ENV A=b
