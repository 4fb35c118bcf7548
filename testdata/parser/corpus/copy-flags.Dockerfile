# syntax=docker/dockerfile:1.7-labs
FROM alpine
COPY --parents ./x/a.txt ./y/a.txt /parents/
COPY --parents src/./app/**/package.json /app/
COPY --exclude=*.txt --exclude=**/node_modules --exclude=!keep.txt . /copied/
COPY --link --chown=1000:1000 --chmod=u=rwX,go=rX assets/ /assets/
COPY --link=false --parents=true a/b /c/
COPY --chown=app bin/[ab]* bin/?.sh /bin/
