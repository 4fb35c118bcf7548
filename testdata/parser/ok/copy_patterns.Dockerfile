FROM debian:12
COPY *.tx? [a-c]* [^x]y /dst/
COPY arr[[]0].txt dst
COPY a\ b\ c ./
COPY ./ ../x ~ /
COPY "a"b'c d' e
