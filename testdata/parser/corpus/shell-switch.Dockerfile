FROM ubuntu
RUN echo sh
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
RUN curl -s https://example.org | sha256sum
SHELL ["/bin/sh", "-c"]
RUN echo sh again
CMD echo "shell form wanted: $HOME"
