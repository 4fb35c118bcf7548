FROM golang AS build
WROKDIR /src
COPY --form=x . .
RUN --network=nome make

FROM debian AS build
COPY --from=build /a
ENTRYPOINT
ENV A=1 B

FROM scratch AS 3
HEALTHCHECK --retries=x CMD
