FROM openjdk:11-jre-slim
ARG kafka_version=2.8.1
ARG scala_version=2.13
ENV KAFKA_VERSION=$kafka_version \
    SCALA_VERSION=$scala_version \
    KAFKA_HOME=/opt/kafka
ENV PATH=${PATH}:${KAFKA_HOME}/bin
COPY download-kafka.sh start-kafka.sh versions.sh /tmp2/
RUN chmod a+x /tmp2/*.sh && sync && /tmp2/download-kafka.sh \
 && tar xfz /tmp2/kafka_${SCALA_VERSION}-${KAFKA_VERSION}.tgz -C /opt \
 && ln -s /opt/kafka_${SCALA_VERSION}-${KAFKA_VERSION} ${KAFKA_HOME}
CMD ["start-kafka.sh"]
