FROM rust:1.76
LABEL maintainer="rust people <rust@example.org>" \
      com.example.component="rust \"core\"" \
      com.example.port='9000'
ARG UID=1000
ARG GID=$UID
ENV CARGO_TERM_COLOR=never \
    # where things are
    APP_HOME=/app \
\
    APP_PORT=9000
SHELL ["/bin/sh", "-eo", "pipefail", "-c"]
RUN addgroup --gid "$GID" app || true; adduser --uid "$UID" --gid "$GID" --home $APP_HOME app || true
WORKDIR $APP_HOME
COPY --chown=$UID:$GID --chmod=0640 Cargo.toml Cargo.lock $APP_HOME/
RUN cargo fetch --locked
COPY --chown=${UID}:${GID} . .
RUN ["/bin/sh", "-c", "cargo build --release --locked"]
USER app:app
VOLUME ["/app/data", "/app/tmp"]
EXPOSE ${APP_PORT}
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=1m --retries=3 CMD ["/bin/sh", "-c", "wget -qO- http://127.0.0.1:9000/ || exit 1"]
ENTRYPOINT ["target/release/app"]
CMD ["--port", "9000"]
