ARG REGISTRY
FROM ${REGISTRY}/busybox
ENV NAME=world
ARG ARG=arg
COPY <<EOF /plain
hello $NAME ${ARG} ${NOPE:-default} \$NAME \\ "quoted" 'single'
	tab kept
EOF
COPY <<-EOF /dash
	tabs stripped
	  spaces kept
	EOF
COPY <<"EOF" /quoted
$NAME stays \$NAME
EOF
COPY <<one <<two /dir/
1
one
2
two
COPY --chmod=751 --chown=5:6 <<run.sh /bin/
#!/bin/sh
run.sh
COPY <<EOF two.txt /mixed/
heredoc beside a file
EOF
COPY <<EMPTY /empty
EMPTY
COPY <<EOF /made/on/the/way
x
EOF
WORKDIR /work
COPY <<EOF relative
y
EOF
COPY <<EOF .
named by its delimiter
EOF
ADD <<EOF /added
z
EOF
COPY --link <<EOF /linked
l
EOF
COPY <<EOF /crlf
no newline at the end of \
a continued line
EOF
COPY ["one.txt", "/json"]
