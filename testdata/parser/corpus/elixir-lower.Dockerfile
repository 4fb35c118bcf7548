from elixir:1.16 as build
workdir /app
add . .
run mix deps.get && mix release
env MIX_ENV prod
expose 4000
volume /app/data
cmd _build/prod/rel/app/bin/app start
