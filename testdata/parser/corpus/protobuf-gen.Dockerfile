# syntax=docker/dockerfile:1
ARG PROTOC_VERSION=25.1
FROM golang:1.21-bookworm AS gobase
FROM gobase AS protoc
ARG PROTOC_VERSION
ARG TARGETARCH
RUN <<EOT
  set -e
  arch=$(echo $TARGETARCH | sed -e s/amd64/x86_64/ -e s/arm64/aarch_64/)
  wget -q https://github.example.com/protoc/releases/download/v${PROTOC_VERSION}/protoc-${PROTOC_VERSION}-linux-${arch}.zip
  unzip protoc-${PROTOC_VERSION}-linux-${arch}.zip -d /opt/protoc
EOT
FROM gobase AS generated
COPY --link --from=protoc /opt/protoc /opt/protoc
RUN --mount=type=bind,target=/src,rw <<EOT
  set -ex
  mkdir /out
  find . -name '*.proto' | xargs /opt/protoc/bin/protoc --go_out=/out
EOT
FROM scratch AS update
COPY --from=generated /out /
FROM gobase AS validate
RUN --mount=target=. --mount=from=update,target=/generated diff -r /generated . >&2 || true
