# syntax=docker/dockerfile:1.6
FROM elixir:1.16 AS build
WORKDIR /src
RUN --mount=type=cache,id=elixir-$TARGETARCH,target=/root/.hex,sharing=locked \
    --mount=type=bind,target=. \
    --mount=type=secret,id=elixir_token,env=ELIXIR_CREDENTIALS <<EOF
set -eu
mix deps.get
mix release # as in the pipeline
mkdir -p /out && cp -r "_build/prod/rel/app" /out/
EOF
FROM elixir:1.16
COPY --link --from=build /out/ /opt/elixir/
WORKDIR /opt/elixir
CMD ["_build/prod/rel/app/bin/app", "start"]
