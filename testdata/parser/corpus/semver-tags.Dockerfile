FROM ghcr.io/owner/image.with.dots/sub_path/name-x__y:v1.2.3-rc.1_build.5
FROM localhost:5000/team/image:latest AS local
FROM 10.0.0.1:5000/x@sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
COPY --from=local / /
