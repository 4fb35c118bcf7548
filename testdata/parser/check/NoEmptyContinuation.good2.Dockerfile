FROM debian
RUN <<EOF

echo blank lines are fine here

EOF
