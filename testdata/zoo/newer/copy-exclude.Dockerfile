# BuildKit's patterns leave out no file that is itself a source, whatever its documentation says.
ARG REGISTRY
FROM ${REGISTRY}/busybox
COPY --exclude=*.o --exclude=**/README.md project /one/
COPY --exclude=**/*.o --exclude=!src/main.o project /two/
COPY --exclude=lib project/src /three/
COPY --exclude=src/lib project /four/
COPY --exclude=one.txt --exclude=*.md *.txt *.md /five/
COPY --exclude=project/src/main.c project/src /six/
COPY --exclude=* dir /seven/
COPY --exclude=a.txt dir other/a.txt project/docs /eight/
COPY --exclude=**/c.txt dir/sub /nine
COPY --exclude=sub/ dir /ten
COPY --exclude=/sub dir /eleven
ADD --exclude=*.md dir /twelve/
