FROM scratch AS a
COPY <<target /
x
target
FROM scratch
COPY --from=a /target /
