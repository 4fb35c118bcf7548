FROM golang:1.22
LABEL maintainer="go people <go@example.org>" \
      com.example.component="go \"core\"" \
      com.example.port='8080'
ARG UID=1000
ARG GID=$UID
ENV CGO_ENABLED=0 \
    # where things are
    APP_HOME=/app \
\
    APP_PORT=8080
SHELL ["/bin/sh", "-eo", "pipefail", "-c"]
RUN addgroup --gid "$GID" app || true; adduser --uid "$UID" --gid "$GID" --home $APP_HOME app || true
WORKDIR $APP_HOME
COPY --chown=$UID:$GID --chmod=0640 go.mod go.sum $APP_HOME/
RUN go mod download
COPY --chown=${UID}:${GID} . .
RUN ["/bin/sh", "-c", "go build -o dist/app ./cmd/app"]
USER app:app
VOLUME ["/app/data", "/app/tmp"]
EXPOSE ${APP_PORT}
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=1m --retries=3 CMD ["/bin/sh", "-c", "wget -qO- http://127.0.0.1:8080/ || exit 1"]
ENTRYPOINT ["./dist/app", "serve"]
CMD ["--port", "8080"]
