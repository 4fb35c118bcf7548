FROM composer:2
LABEL maintainer="php people <php@example.org>" \
      com.example.component="php \"core\"" \
      com.example.port='80'
ARG UID=1000
ARG GID=$UID
ENV APP_ENV=prod \
    # where things are
    APP_HOME=/app \
\
    APP_PORT=80
SHELL ["/bin/sh", "-eo", "pipefail", "-c"]
RUN addgroup --gid "$GID" app || true; adduser --uid "$UID" --gid "$GID" --home $APP_HOME app || true
WORKDIR $APP_HOME
COPY --chown=$UID:$GID --chmod=0640 composer.json composer.lock $APP_HOME/
RUN composer install --no-dev
COPY --chown=${UID}:${GID} . .
RUN ["/bin/sh", "-c", "composer dump-autoload -o"]
USER app:app
VOLUME ["/app/data", "/app/tmp"]
EXPOSE ${APP_PORT}
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=1m --retries=3 CMD ["/bin/sh", "-c", "wget -qO- http://127.0.0.1:80/ || exit 1"]
ENTRYPOINT ["php", "-S", "0.0.0.0:80", "-t", "public"]
CMD ["--port", "80"]
