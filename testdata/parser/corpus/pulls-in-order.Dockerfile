FROM alpine AS a
FROM a AS b
COPY --from=a /etc/a /a
FROM b
COPY --from=b --chown=0:0 /etc/b /b
RUN --mount=from=a,target=/mnt,source=/etc cat /mnt/passwd
