FROM debian:12
ADD -a /b
ADD -- --a /b
COPY -- --from=x /b
COPY a --chown=b /c
COPY - /d
