FROM debian:12
# check=skip=ExposeProtoCasing
EXPOSE 80/TCP
