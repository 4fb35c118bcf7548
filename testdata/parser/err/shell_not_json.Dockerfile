FROM debian:12
SHELL /bin/sh -c
SHELL ['/bin/sh', '-c']
SHELL ["/bin/sh", "-c",]
SHELL ["/bin/sh" "-c"]
SHELL ["/bin/sh", 1]
SHELL
SHELL ["a"
