FROM alpine
RUN apk add --no-cache curl # for the health check
RUN set -e; # strict
