FROM python:3.12
LABEL maintainer="python people <python@example.org>" \
      com.example.component="python \"core\"" \
      com.example.port='8000'
ARG UID=1000
ARG GID=$UID
ENV PYTHONUNBUFFERED=1 \
    # where things are
    APP_HOME=/app \
\
    APP_PORT=8000
SHELL ["/bin/sh", "-eo", "pipefail", "-c"]
RUN addgroup --gid "$GID" app || true; adduser --uid "$UID" --gid "$GID" --home $APP_HOME app || true
WORKDIR $APP_HOME
COPY --chown=$UID:$GID --chmod=0640 requirements.txt $APP_HOME/
RUN pip install -r requirements.txt
COPY --chown=${UID}:${GID} . .
RUN ["/bin/sh", "-c", "python -m compileall ."]
USER app:app
VOLUME ["/app/data", "/app/tmp"]
EXPOSE ${APP_PORT}
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=1m --retries=3 CMD ["/bin/sh", "-c", "wget -qO- http://127.0.0.1:8000/ || exit 1"]
ENTRYPOINT ["python", "-m", "app"]
CMD ["--port", "8000"]
