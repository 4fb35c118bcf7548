FROM debian:12
ADD https://example.com/a https://example.com/b /dir/
ADD git@github.com:a/b.git#v1:docs /docs
ADD https://github.com/a/b.git?ref=v1&subdir=docs&keep-git-dir=1 /b
ADD --checksum=24454f830cdb571e2c4ad15481119c43b3cafd48dd869a9b2945d1036d1dc68d --keep-git-dir https://example.com/r.git /r
ADD --checksum=$SUM --exclude=*.md --exclude=*.txt a.tar.gz $DIR/
ADD ["https://example.com/a b", "c d", "/e f/"]
ADD --unpack=TRUE https://example.com/a.tar /a
