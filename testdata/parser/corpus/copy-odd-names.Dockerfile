FROM scratch
COPY ["-dash", "#hash", "/"]
COPY arr[[]0].txt /mydir/
COPY 文件.txt naïve.txt /ünïcode/
COPY . .
