FROM node:20
LABEL maintainer="node people <node@example.org>" \
      com.example.component="node \"core\"" \
      com.example.port='3000'
ARG UID=1000
ARG GID=$UID
ENV NODE_ENV=production \
    # where things are
    APP_HOME=/app \
\
    APP_PORT=3000
SHELL ["/bin/sh", "-eo", "pipefail", "-c"]
RUN addgroup --gid "$GID" app || true; adduser --uid "$UID" --gid "$GID" --home $APP_HOME app || true
WORKDIR $APP_HOME
COPY --chown=$UID:$GID --chmod=0640 package.json package-lock.json $APP_HOME/
RUN npm ci
COPY --chown=${UID}:${GID} . .
RUN ["/bin/sh", "-c", "npm run build"]
USER app:app
VOLUME ["/app/data", "/app/tmp"]
EXPOSE ${APP_PORT}
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=1m --retries=3 CMD ["/bin/sh", "-c", "wget -qO- http://127.0.0.1:3000/ || exit 1"]
ENTRYPOINT ["node", "dist/main.js"]
CMD ["--port", "3000"]
