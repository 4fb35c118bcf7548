FROM debian:12
COPY a /b
COPY a b c /d/
COPY ["a b", "c"]
COPY --from=base /a /b
COPY --from=0 --chown=1:2 --chmod=0755 --link --parents=false a /b
COPY --chmod=u=rwX,go=rX --exclude=*.o --exclude="*.a b" . /src
COPY --link=FALSE a b
COPY "a b" c
