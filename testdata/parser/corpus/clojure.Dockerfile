FROM clojure:temurin-17-tools-deps AS build
WORKDIR /src
COPY deps.edn .
RUN clojure -P -T:build
COPY . .
RUN clojure -T:build uber
FROM eclipse-temurin:17-jre-alpine
COPY --from=build /src/target/app-standalone.jar /app/app.jar
CMD exec java $JAVA_OPTS -jar /app/app.jar
