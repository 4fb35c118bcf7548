FROM docker:24-dind
COPY <<EOF /Dockerfile.inner
FROM scratch
COPY . /
RUN not-run-here
EOF
COPY --chmod=0755 <<'EOF' /build.sh
#!/bin/sh
docker build -f- . <<INNER
FROM busybox
RUN true
INNER
EOF
