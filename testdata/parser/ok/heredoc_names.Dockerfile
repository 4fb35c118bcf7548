FROM debian:12
COPY <<E.O-F_1 /a
E.O-F_1
COPY <<größe /a
größe
COPY <<"dir/x y" /a
dir/x y
COPY <<1 /a
1
RUN 0<<N 7<<M cat
N
M
