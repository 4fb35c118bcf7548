FROM debian:12
COPY a <<x.conf b <<"y.conf" /etc/dst/
key = $value
x.conf
key = $literal
y.conf
ADD <<z https://example.com/f /etc/dst/
z
