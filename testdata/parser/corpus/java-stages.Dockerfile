FROM maven:3.9-eclipse-temurin-21-alpine AS deps
WORKDIR /src
COPY pom.xml ./
RUN mvn -B dependency:go-offline

FROM deps AS build
COPY . .
RUN mvn -B package

FROM build AS test
RUN ./ci/test.sh --junit /reports/java.xml

FROM scratch AS reports
COPY --from=test /reports/ /

FROM maven:3.9-eclipse-temurin-21-alpine
WORKDIR /srv/java
COPY --from=build --chown=65532:65532 /src/target ./target
USER 65532
EXPOSE 8443/tcp
ENTRYPOINT ["java", "-jar", "target/app.jar"]
