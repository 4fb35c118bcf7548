FROM biuld
ENV A=$B
FROM debian:12 AS build
COPY --from=nobody-has-this /a /b
FROM builder
