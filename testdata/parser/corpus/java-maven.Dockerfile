FROM maven:3.9-eclipse-temurin-21 AS build
WORKDIR /home/app
COPY pom.xml .
RUN mvn -B -e -C -T 1C org.apache.maven.plugins:maven-dependency-plugin:3.6.0:go-offline
COPY src src
RUN mvn -f /home/app/pom.xml clean package -DskipTests

FROM eclipse-temurin:21-jre-jammy
ARG JAR_FILE=target/*.jar
COPY --from=build /home/app/${JAR_FILE} /usr/local/lib/app.jar
EXPOSE 8080
ENTRYPOINT ["java","-jar","/usr/local/lib/app.jar"]
