ARG REGISTRY
FROM ${REGISTRY}/busybox
ENV SET=1 EMPTY=
ARG ARGUMENT=2
RUN env | grep -v -e '^HOSTNAME=' -e '^REGISTRY=' -e ^OTEL -e ^TRACEPARENT | sort > /env; pwd > /pwd; umask > /umask; hostname > /host; ulimit -c > /core
RUN cat /proc/self/status | grep -e Cap -e NoNew -e Seccomp: > /status; ls /dev | grep -v -e core -e sock > /devices; ls -d /proc/kcore /sys/firmware > /masked; tty > /tty; true
RUN stat -c '%a %u %g' / /dev /dev/shm /dev/null /proc /sys > /stat
