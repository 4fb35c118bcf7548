FROM busybox
ARG BUILD_DATE
ARG VCS_REF
ARG VERSION=0.0.0
LABEL org.opencontainers.image.created=$BUILD_DATE \
      org.opencontainers.image.revision=${VCS_REF} \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.title="A \"quoted\" title" \
      org.opencontainers.image.description='single $quotes keep it' \
      org.opencontainers.image.authors="Ann <ann@example.org>, Bob <bob@example.org>" \
      com.example.empty="" \
      "com.example.key with space"="value" \
      com.example.json="{\"a\": [1, 2]}"
