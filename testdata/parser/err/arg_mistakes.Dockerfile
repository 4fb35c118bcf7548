ARG
ARG =a
FROM debian:12
ARG
ARG A ="b c" D
ARG ==
