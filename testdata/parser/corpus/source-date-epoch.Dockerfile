# syntax=docker/dockerfile:1
ARG SOURCE_DATE_EPOCH=0
FROM debian:12
ARG SOURCE_DATE_EPOCH
RUN --mount=type=cache,target=/var/cache/apt apt-get update && touch -d "@${SOURCE_DATE_EPOCH}" /stamp
