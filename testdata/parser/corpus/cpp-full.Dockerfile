FROM gcc:13
LABEL maintainer="cpp people <cpp@example.org>" \
      com.example.component="cpp \"core\"" \
      com.example.port='7000'
ARG UID=1000
ARG GID=$UID
ENV CXXFLAGS=-O2 \
    # where things are
    APP_HOME=/app \
\
    APP_PORT=7000
SHELL ["/bin/sh", "-eo", "pipefail", "-c"]
RUN addgroup --gid "$GID" app || true; adduser --uid "$UID" --gid "$GID" --home $APP_HOME app || true
WORKDIR $APP_HOME
COPY --chown=$UID:$GID --chmod=0640 CMakeLists.txt $APP_HOME/
RUN apt-get update && apt-get install -y --no-install-recommends cmake
COPY --chown=${UID}:${GID} . .
RUN ["/bin/sh", "-c", "cmake -B build && cmake --build build"]
USER app:app
VOLUME ["/app/data", "/app/tmp"]
EXPOSE ${APP_PORT}
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=1m --retries=3 CMD ["/bin/sh", "-c", "wget -qO- http://127.0.0.1:7000/ || exit 1"]
ENTRYPOINT ["build/app"]
CMD ["--port", "7000"]
