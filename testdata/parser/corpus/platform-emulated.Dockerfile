FROM --platform=linux/arm/v7 debian:bullseye
RUN uname -m
