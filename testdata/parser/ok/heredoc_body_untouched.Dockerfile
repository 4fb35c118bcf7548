FROM debian:12
RUN <<EOF
# syntax=docker/dockerfile:1
FROM inner
  EOF
EOF 
EOFS
	tab \

COPY --nothing
<<OTHER
EOF
CMD ["a"]
