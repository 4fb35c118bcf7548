FROM debian:12
COPY <<a.txt /dst/
$A
a.txt
COPY <<'b c' x <<-"d" /dst/
$B
b c
	$D
	d
COPY --chmod=0644 << e /dst
E
e
