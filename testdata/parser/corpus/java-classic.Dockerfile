# The java service, in the plainest way.
FROM maven:3.9-eclipse-temurin-21
WORKDIR /app
COPY . /app
RUN mvn -B dependency:go-offline \
 && mvn -B package
ENV MAVEN_OPTS=-Xmx512m
EXPOSE 8443
CMD ["java", "-jar", "target/app.jar"]
