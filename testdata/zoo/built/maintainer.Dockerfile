ARG REGISTRY
FROM ${REGISTRY}/busybox
MAINTAINER  First  One <a@example.com>
MAINTAINER "Second" $HOME
