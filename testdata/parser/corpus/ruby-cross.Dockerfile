# syntax=docker/dockerfile:1
ARG REGISTRY=docker.io
ARG VERSION=3.3
ARG VARIANT="-slim"
ARG BASE=${REGISTRY}/ruby:${VERSION}${VARIANT}

FROM --platform=${BUILDPLATFORM} ${BASE} AS build-any
ARG TARGETPLATFORM TARGETOS TARGETARCH TARGETVARIANT
ARG VERSION
WORKDIR /src
COPY Gemfile Gemfile.lock ./
RUN bundle install
COPY . .
RUN target="${TARGETOS}-${TARGETARCH}${TARGETVARIANT:+-$TARGETVARIANT}"; \
    case "$TARGETPLATFORM" in \
      linux/arm64) export CROSS=aarch64-linux-gnu- ;; \
      linux/arm/*) export CROSS=arm-linux-gnueabihf- ;; \
      *)           : ;; \
    esac; \
    echo "$target" > /target && bundle exec rake assets:precompile

FROM ${BASE} AS runtime
ARG VERSION
LABEL org.opencontainers.image.version="${VERSION}" org.opencontainers.image.title="ruby"
COPY --from=build-any /src/public /target /opt/app/
ENTRYPOINT ["bundle", "exec", "puma", "-C", "config/puma.rb"]
