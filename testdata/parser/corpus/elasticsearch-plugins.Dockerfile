ARG ELASTIC_VERSION
FROM docker.elastic.co/elasticsearch/elasticsearch:${ELASTIC_VERSION:-8.12.0}
RUN for p in analysis-icu analysis-phonetic; do bin/elasticsearch-plugin install --batch "$p"; done
