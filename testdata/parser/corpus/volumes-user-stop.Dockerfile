FROM postgres:16
VOLUME ["/var/lib/postgresql/data", "/backup dir"]
VOLUME /a /b	/c
USER 1000:1000
USER postgres
STOPSIGNAL SIGINT
STOPSIGNAL 9
STOPSIGNAL RTMIN+3
