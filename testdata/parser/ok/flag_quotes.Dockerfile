FROM debian:12
COPY --from="a b" --chown='x':y a b
COPY --from=a\ b a b
COPY --chown=a"b\"c"d a b
COPY --exclude=a\
b x y
