# syntax=docker/dockerfile:1.4
FROM debian:12
RUN <<EOF
apt-get update
apt-get install -y --no-install-recommends jq
rm -rf /var/lib/apt/lists/*
EOF
