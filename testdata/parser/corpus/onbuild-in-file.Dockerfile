FROM golang:1.22 AS onbuild
WORKDIR /go/src
ONBUILD COPY . .
ONBUILD RUN go build -o /out ./...
FROM onbuild AS app
FROM scratch
COPY --from=app /out /
