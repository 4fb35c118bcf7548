FROM maven:3.9-eclipse-temurin-21
RUN mkdir -p /usr/src/app
WORKDIR /usr/src/app
ONBUILD ARG BUILD_MODE=release
ONBUILD COPY pom.xml /usr/src/app/
ONBUILD RUN --mount=type=cache,target=/root/.m2 mvn -B dependency:go-offline
ONBUILD COPY --chown=root:root . /usr/src/app
ONBUILD RUN <<EOF
mvn -B package
EOF
ONBUILD HEALTHCHECK --interval=1m CMD wget -q localhost:8443
CMD ["java", "-jar", "target/app.jar"]
