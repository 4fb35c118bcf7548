FROM debian:12
HEALTHCHECK --interval=1s
FROM debian:12
HEALTHCHECK CDM a
FROM debian:12
HEALTHCHECK none --x
FROM debian:12
HEALTHCHECK ["a"]
FROM debian:12
HEALTHCHECK CMD [1, "a"]
FROM debian:12
HEALTHCHECK --retries=2147483648 CMD a
FROM debian:12
HEALTHCHECK --retries=1.5 CMD a
FROM debian:12
HEALTHCHECK --retries= --interval=- CMD a
