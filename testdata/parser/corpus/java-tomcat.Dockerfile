FROM tomcat:9-jdk11
MAINTAINER ops@example.com
RUN rm -rf $CATALINA_HOME/webapps/*
ADD target/site.war $CATALINA_HOME/webapps/ROOT.war
ENV JAVA_OPTS="-Xms512m -Xmx1024m -Djava.security.egd=file:/dev/./urandom"
EXPOSE 8080 8443
CMD ["catalina.sh", "run"]
