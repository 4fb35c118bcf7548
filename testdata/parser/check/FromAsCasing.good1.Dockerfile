FROM debian AS build
FROM scratch
