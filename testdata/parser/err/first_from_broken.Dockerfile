ARG A
FROM a b
COPY --x a b
FROM debian
COPY --y a b
