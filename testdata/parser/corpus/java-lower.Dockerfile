from maven:3.9-eclipse-temurin-21 as build
workdir /app
add . .
run mvn -B dependency:go-offline && mvn -B package
env MAVEN_OPTS -Xmx512m
expose 8443
volume /app/data
cmd java -jar target/app.jar
