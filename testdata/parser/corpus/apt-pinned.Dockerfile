FROM debian:bookworm-20240211-slim
SHELL ["/bin/bash", "-euxo", "pipefail", "-c"]
RUN apt-get update; \
    apt-get install -y --no-install-recommends \
        ca-certificates=20230311 \
        curl=7.88.* \
    ; \
    rm -rf /var/lib/apt/lists/*
