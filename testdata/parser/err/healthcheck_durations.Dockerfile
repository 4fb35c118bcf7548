FROM debian:12
HEALTHCHECK --interval=1 CMD a
FROM debian:12
HEALTHCHECK --interval=1m30 CMD a
FROM debian:12
HEALTHCHECK --interval=5S CMD a
FROM debian:12
HEALTHCHECK --timeout=1d CMD a
FROM debian:12
HEALTHCHECK --timeout=-3s CMD a
FROM debian:12
HEALTHCHECK --start-period=999us CMD a
FROM debian:12
HEALTHCHECK --start-interval=99999999h CMD a
FROM debian:12
HEALTHCHECK --start-interval=1s\ 5s CMD a
