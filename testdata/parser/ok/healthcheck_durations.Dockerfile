FROM debian:12
HEALTHCHECK --interval=1h2m3s --timeout=1.5m --start-period=.5s --start-interval=100000us --retries=2147483647 CMD a
FROM debian:12
HEALTHCHECK --interval=+5s --timeout=1ms --start-period=1000000ns --start-interval=1000µs CMD ["a"]
FROM debian:12
HEALTHCHECK --interval=0 --retries=00 Cmd a
FROM debian:12
HEALTHCHECK --timeout='3s' --interval=1\m CMD a --interval=x
FROM debian:12
HEALTHCHECK --interval=1s none
