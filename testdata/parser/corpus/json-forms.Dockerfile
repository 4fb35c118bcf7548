FROM debian
SHELL ["/bin/bash", "-c"]
RUN ["apt-get", "update"]
RUN [ "/bin/bash", "-c", "echo \"a\\tb\" && echo 'c'" ]
COPY ["file with spaces.txt", "another one.txt", "/dest dir/"]
ADD ["archive (1).tar.gz", "/"]
VOLUME ["/data", "/var/log"]
ENTRYPOINT ["/bin/sh", "-c", "exec \"$@\"", "--"]
CMD ["printf", "%s\\n", "\u00e9t\u00e9"]
