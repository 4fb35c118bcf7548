FROM debian:12
COPY --from=alpine /a /b
FROM 0
