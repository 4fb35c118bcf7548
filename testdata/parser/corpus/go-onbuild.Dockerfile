FROM golang:1.22
RUN mkdir -p /usr/src/app
WORKDIR /usr/src/app
ONBUILD ARG BUILD_MODE=release
ONBUILD COPY go.mod go.sum /usr/src/app/
ONBUILD RUN --mount=type=cache,target=/go/pkg/mod go mod download
ONBUILD COPY --chown=root:root . /usr/src/app
ONBUILD RUN <<EOF
go build -o dist/app ./cmd/app
EOF
ONBUILD HEALTHCHECK --interval=1m CMD wget -q localhost:8080
CMD ["./dist/app", "serve"]
