FROM centos:6
MAINTAINER "The Team" <team@example.com>
ENV JAVA_HOME /usr/java/latest
ENV PATH $PATH:$JAVA_HOME/bin
LABEL vendor ACME Incorporated
LABEL description This text illustrates \
that label-values can span multiple lines.
ADD http://mirror.example.com/jdk-7u80-linux-x64.rpm /tmp/
RUN rpm -ivh /tmp/jdk-7u80-linux-x64.rpm
VOLUME /data /logs
CMD /usr/sbin/sshd -D
