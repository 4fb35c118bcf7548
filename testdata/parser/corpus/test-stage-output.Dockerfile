FROM golang:1.22 AS test
WORKDIR /src
RUN --mount=target=. --mount=type=cache,target=/root/.cache/go-build \
    go test -coverprofile=/tmp/cover.out ./... && go tool cover -html=/tmp/cover.out -o /tmp/cover.html
FROM scratch AS coverage
COPY --from=test /tmp/cover.* /
