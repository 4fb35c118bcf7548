# syntax=docker/dockerfile:1.6
FROM golang:1.22 AS build
WORKDIR /src
RUN --mount=type=cache,id=go-$TARGETARCH,target=/go/pkg/mod,sharing=locked \
    --mount=type=bind,target=. \
    --mount=type=secret,id=go_token,env=GO_CREDENTIALS <<EOF
set -eu
go mod download
go build -o dist/app ./cmd/app # as in the pipeline
mkdir -p /out && cp -r "dist" /out/
EOF
FROM golang:1.22
COPY --link --from=build /out/ /opt/go/
WORKDIR /opt/go
CMD ["./dist/app", "serve"]
