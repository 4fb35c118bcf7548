FROM elixir:1.16
LABEL maintainer="elixir people <elixir@example.org>" \
      com.example.component="elixir \"core\"" \
      com.example.port='4000'
ARG UID=1000
ARG GID=$UID
ENV MIX_ENV=prod \
    # where things are
    APP_HOME=/app \
\
    APP_PORT=4000
SHELL ["/bin/sh", "-eo", "pipefail", "-c"]
RUN addgroup --gid "$GID" app || true; adduser --uid "$UID" --gid "$GID" --home $APP_HOME app || true
WORKDIR $APP_HOME
COPY --chown=$UID:$GID --chmod=0640 mix.exs mix.lock $APP_HOME/
RUN mix deps.get
COPY --chown=${UID}:${GID} . .
RUN ["/bin/sh", "-c", "mix release"]
USER app:app
VOLUME ["/app/data", "/app/tmp"]
EXPOSE ${APP_PORT}
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=1m --retries=3 CMD ["/bin/sh", "-c", "wget -qO- http://127.0.0.1:4000/ || exit 1"]
ENTRYPOINT ["_build/prod/rel/app/bin/app", "start"]
CMD ["--port", "4000"]
