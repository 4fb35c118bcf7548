FROM alpine AS build
RUN echo first
FROM alpine AS build
RUN echo second
FROM scratch
COPY --from=build /x /x
