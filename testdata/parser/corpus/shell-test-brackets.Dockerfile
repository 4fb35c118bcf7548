FROM alpine
ARG DEBUG=0
RUN [ "$DEBUG" = "1" ] && apk add --no-cache gdb || true
RUN [[ -f /etc/os-release ]] || exit 1
RUN [ -d /x ]; echo $?
