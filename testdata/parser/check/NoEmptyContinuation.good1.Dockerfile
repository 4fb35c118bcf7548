FROM debian
RUN apt-get update && \
    # why
    apt-get install -y curl
