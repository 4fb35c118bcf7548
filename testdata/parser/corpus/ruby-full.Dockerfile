FROM ruby:3.3
LABEL maintainer="ruby people <ruby@example.org>" \
      com.example.component="ruby \"core\"" \
      com.example.port='9292'
ARG UID=1000
ARG GID=$UID
ENV RACK_ENV=production \
    # where things are
    APP_HOME=/app \
\
    APP_PORT=9292
SHELL ["/bin/sh", "-eo", "pipefail", "-c"]
RUN addgroup --gid "$GID" app || true; adduser --uid "$UID" --gid "$GID" --home $APP_HOME app || true
WORKDIR $APP_HOME
COPY --chown=$UID:$GID --chmod=0640 Gemfile Gemfile.lock $APP_HOME/
RUN bundle install
COPY --chown=${UID}:${GID} . .
RUN ["/bin/sh", "-c", "bundle exec rake assets:precompile"]
USER app:app
VOLUME ["/app/data", "/app/tmp"]
EXPOSE ${APP_PORT}
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=1m --retries=3 CMD ["/bin/sh", "-c", "wget -qO- http://127.0.0.1:9292/ || exit 1"]
ENTRYPOINT ["bundle", "exec", "puma", "-C", "config/puma.rb"]
CMD ["--port", "9292"]
