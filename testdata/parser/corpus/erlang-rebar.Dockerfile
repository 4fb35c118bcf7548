FROM erlang:26-alpine as build
WORKDIR /src
COPY rebar.config rebar.lock ./
RUN rebar3 compile --deps_only
COPY . ./
RUN rebar3 as prod tar && mkdir /opt/rel && tar -zxvf /src/_build/prod/rel/*/*.tar.gz -C /opt/rel
FROM alpine:3.18
RUN apk add --no-cache openssl ncurses libstdc++ libgcc
COPY --from=build /opt/rel /opt/rel
EXPOSE 8080 8081/tcp 9000-9005/udp
STOPSIGNAL SIGTERM
ENTRYPOINT ["/opt/rel/bin/node"]
CMD ["foreground"]
