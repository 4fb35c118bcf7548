FROM maven:3.9-eclipse-temurin-21
LABEL maintainer="java people <java@example.org>" \
      com.example.component="java \"core\"" \
      com.example.port='8443'
ARG UID=1000
ARG GID=$UID
ENV MAVEN_OPTS=-Xmx512m \
    # where things are
    APP_HOME=/app \
\
    APP_PORT=8443
SHELL ["/bin/sh", "-eo", "pipefail", "-c"]
RUN addgroup --gid "$GID" app || true; adduser --uid "$UID" --gid "$GID" --home $APP_HOME app || true
WORKDIR $APP_HOME
COPY --chown=$UID:$GID --chmod=0640 pom.xml $APP_HOME/
RUN mvn -B dependency:go-offline
COPY --chown=${UID}:${GID} . .
RUN ["/bin/sh", "-c", "mvn -B package"]
USER app:app
VOLUME ["/app/data", "/app/tmp"]
EXPOSE ${APP_PORT}
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=1m --retries=3 CMD ["/bin/sh", "-c", "wget -qO- http://127.0.0.1:8443/ || exit 1"]
ENTRYPOINT ["java", "-jar", "target/app.jar"]
CMD ["--port", "8443"]
