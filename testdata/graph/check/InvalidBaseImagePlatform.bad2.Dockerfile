FROM --platform=$BUILDPLATFORM amd64-only AS a
FROM a
FROM amd64-only
