# syntax=docker/dockerfile:1.6
FROM composer:2 AS build
WORKDIR /src
RUN --mount=type=cache,id=php-$TARGETARCH,target=/root/.composer/cache,sharing=locked \
    --mount=type=bind,target=. \
    --mount=type=secret,id=php_token,env=PHP_CREDENTIALS <<EOF
set -eu
composer install --no-dev
composer dump-autoload -o # as in the pipeline
mkdir -p /out && cp -r "public" /out/
EOF
FROM composer:2
COPY --link --from=build /out/ /opt/php/
WORKDIR /opt/php
CMD ["php", "-S", "0.0.0.0:80", "-t", "public"]
