FROM debian:12
COPY --link=1 a b
COPY --parents=on a b
ADD --unpack=no --keep-git-dir=0 a b
ADD --keep-git-dir= a b
COPY --link=" true" a b
