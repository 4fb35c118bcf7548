FROM alpine AS build
RUN echo $MISSPELT
COPY $NOWHERE /
FROM alpine
COPY --from=build / /
