# The elixir service, in the plainest way.
FROM elixir:1.16
WORKDIR /app
COPY . /app
RUN mix deps.get \
 && mix release
ENV MIX_ENV=prod
EXPOSE 4000
CMD ["_build/prod/rel/app/bin/app", "start"]
