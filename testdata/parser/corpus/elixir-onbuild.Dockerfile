FROM elixir:1.16
RUN mkdir -p /usr/src/app
WORKDIR /usr/src/app
ONBUILD ARG BUILD_MODE=release
ONBUILD COPY mix.exs mix.lock /usr/src/app/
ONBUILD RUN --mount=type=cache,target=/root/.hex mix deps.get
ONBUILD COPY --chown=root:root . /usr/src/app
ONBUILD RUN <<EOF
mix release
EOF
ONBUILD HEALTHCHECK --interval=1m CMD wget -q localhost:4000
CMD ["_build/prod/rel/app/bin/app", "start"]
