FROM alpine
ARG NAME=x
ARG MESSAGE="${NAME:?a name is needed}"
RUN echo "$MESSAGE"
