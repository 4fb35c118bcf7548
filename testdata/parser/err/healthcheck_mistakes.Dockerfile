FROM debian:12
HEALTHCHECK curl x
HEALTHCHECK CMD
HEALTHCHECK NONE x
HEALTHCHECK CMD []
HEALTHCHECK --interval=5 CMD a
HEALTHCHECK --interval=1us --timeout=-1s CMD a
HEALTHCHECK --timeout=1x --retries=-1 CMD a
HEALTHCHECK --retries=many CMD a
HEALTHCHECK --start-period=abc --start-interval=1.5.s CMD a
