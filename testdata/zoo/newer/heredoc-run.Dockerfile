ARG REGISTRY
FROM ${REGISTRY}/busybox
RUN <<EOF
echo one > /one
  echo two "$HOME" \
    continued > /two
EOF
RUN <<-EOF
	echo tabs > /tabs
		echo more >> /tabs
EOF
RUN <<'EOF'
echo '$HOME' "$HOME" > /quoted
EOF
RUN <<EOF cat > /stdin
$HOME stays
EOF
RUN cat <<A <<B > /last
first
A
second
B
RUN cat <<A /dev/stdin /dev/fd/3 3<<B > /numbered; cat /dev/fd/3 > /third 3<<C
a
A
b
B
c
C
RUN <<EOF sh -e
#!/bin/cat
echo through sh > /sh
EOF
RUN <<EOF
#!/bin/awk -f
BEGIN { print "awk" > "/awk" }
EOF
RUN <<EOF
EOF
RUN set -e; cat <<"END OF" > /words
with a space
END OF
RUN cat <<EOF > /x && echo done > /y
# no comment
\$escaped \\ back
EOF
ENV AFTER=1
