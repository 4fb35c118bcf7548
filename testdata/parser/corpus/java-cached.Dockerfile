# syntax=docker/dockerfile:1.6
FROM maven:3.9-eclipse-temurin-21 AS build
WORKDIR /src
RUN --mount=type=cache,id=java-$TARGETARCH,target=/root/.m2,sharing=locked \
    --mount=type=bind,target=. \
    --mount=type=secret,id=java_token,env=JAVA_CREDENTIALS <<EOF
set -eu
mvn -B dependency:go-offline
mvn -B package # as in the pipeline
mkdir -p /out && cp -r "target" /out/
EOF
FROM maven:3.9-eclipse-temurin-21
COPY --link --from=build /out/ /opt/java/
WORKDIR /opt/java
CMD ["java", "-jar", "target/app.jar"]
