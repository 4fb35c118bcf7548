FROM debian:12
RUN <<'a'b
x
ab
RUN <<\c
x
c
RUN <<d\'e
x
d'e
RUN <<$f
x
$f
RUN <<"g"
x
g
RUN 12<<-"h"
	x
	h
