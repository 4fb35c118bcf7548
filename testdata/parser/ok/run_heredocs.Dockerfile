FROM debian:12
RUN <<EOF
apt-get update
  # not a comment of the file

apt-get install "$x" \
  y
EOF
RUN <<-EOF cat
	tabs
	  more
	EOF
RUN 3<<X cat <<'Y' <<"Z z"
x
X
$y
Y
z
Z z
RUN --network=none python3 <<PY > /out
print("FROM x")
PY
RUN <<EMPTY
EMPTY
RUN << SPACED
body
SPACED
RUN echo \
  <<LATE && \
  true
body
LATE
