FROM alpine AS build
FROM debian AS alpine
COPY --from=build /x /x
FROM alpine
