FROM debian:12
COPY --parents ./src/./lib/**/*.c /dst/
COPY --parents=TRUE --exclude=**/test --exclude=!keep a b /dst/
COPY --from=docker.io/library/busybox:1@sha256:0123 --link=true /bin/sh /sh
COPY --chmod=$MODE --chown=$UID:${GID:-0} --link a b
COPY --chown=:5 --chmod=a+X,g-w a b
