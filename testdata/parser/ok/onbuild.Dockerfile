FROM debian:12
ONBUILD RUN make
ONBUILD COPY --chown=a . /src
onbuild cmd ["a"]
ONBUILD   ENV A=b \
    C=d
ONBUILD RUN <<EOF
one
EOF
ONBUILD COPY <<-A <<B /x/
	a
	A
b
B
ONBUILD HEALTHCHECK --retries=2 CMD a
