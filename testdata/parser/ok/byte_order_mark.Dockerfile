# syntax=docker/dockerfile:1
FROM debian
RUN é
