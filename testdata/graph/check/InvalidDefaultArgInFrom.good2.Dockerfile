ARG TAG
FROM debian:${TAG:-12}
