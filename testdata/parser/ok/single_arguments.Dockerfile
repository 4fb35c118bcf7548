FROM debian:12
USER 0:0
USER "a b":'c' # no comment
USER ${USER:-nobody}
WORKDIR $HOME/${X} y
WORKDIR "/a b"
WORKDIR C:\x
STOPSIGNAL $SIGNAL
STOPSIGNAL SIGRTMIN+3
MAINTAINER "Jane" <j@example.com> # x
