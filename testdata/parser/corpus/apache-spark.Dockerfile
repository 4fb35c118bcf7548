ARG java_image_tag=17-jre
FROM eclipse-temurin:${java_image_tag}
ARG spark_uid=185
RUN set -ex && \
    apt-get update && \
    ln -s /lib /lib64 && \
    mkdir -p /opt/spark/{examples,work-dir} && \
    touch /opt/spark/RELEASE && \
    rm /bin/sh && \
    ln -sv /bin/bash /bin/sh && \
    echo "auth required pam_wheel.so use_uid" >> /etc/pam.d/su && \
    chgrp root /etc/passwd && chmod ug+rw /etc/passwd
COPY jars /opt/spark/jars
COPY kubernetes/dockerfiles/spark/entrypoint.sh /opt/
ENV SPARK_HOME /opt/spark
WORKDIR /opt/spark/work-dir
RUN chmod g+w /opt/spark/work-dir
ENTRYPOINT [ "/opt/entrypoint.sh" ]
USER ${spark_uid}
