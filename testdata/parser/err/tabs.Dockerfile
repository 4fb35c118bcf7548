FROM debian:12
	RNU	a
		COPY	--chwon=x	a	b
ENV	A=1	B	C=2
