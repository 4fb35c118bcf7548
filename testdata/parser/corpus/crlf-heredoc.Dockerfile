FROM alpine
RUN <<EOF
echo one
echo two
EOF
COPY <<-X /x
	tabbed
	X
ENV A=1 \
    B=2
