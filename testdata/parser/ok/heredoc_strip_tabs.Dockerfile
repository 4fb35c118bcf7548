FROM debian:12
COPY <<-EOF /a
	one
		two
    four
	 mixed
	
	EOF
COPY <<EOF /b
	kept
EOF
