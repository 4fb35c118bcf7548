FROM elixir:1.16-alpine AS deps
WORKDIR /src
COPY mix.exs mix.lock ./
RUN mix deps.get

FROM deps AS build
COPY . .
RUN mix release

FROM build AS test
RUN ./ci/test.sh --junit /reports/elixir.xml

FROM scratch AS reports
COPY --from=test /reports/ /

FROM elixir:1.16-alpine
WORKDIR /srv/elixir
COPY --from=build --chown=65532:65532 /src/_build/prod/rel/app ./_build/prod/rel/app
USER 65532
EXPOSE 4000/tcp
ENTRYPOINT ["_build/prod/rel/app/bin/app", "start"]
