FROM debian:12
COPY <<a <<-b /x/
one

a
	two
	b
RUN <<c
three \
c
