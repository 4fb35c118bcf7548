FROM debian:12
ADD a.tar.gz /
ADD https://example.com/x /x
ADD --checksum=sha256:0123 https://example.com/x /x
ADD --keep-git-dir=true https://github.com/a/b.git#v1:sub /b
ADD --unpack=false --chown=a:b --chmod=600 --link --exclude=c a.tar /d
ADD --unpack --keep-git-dir a b
ADD ["a b", "/c"]
ADD <<EOF /x
hello
EOF
