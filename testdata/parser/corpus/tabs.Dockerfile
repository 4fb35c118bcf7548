FROM	scratch	AS	base
FROM	alpine:3.19
	RUN	apk add --no-cache \
		bash	\
		curl
ENV	A=b	C=d
COPY	--from=base	/etc/passwd	/p
