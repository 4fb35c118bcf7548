FROM debian:12
CMD run me
ENTRYPOINT exec me
