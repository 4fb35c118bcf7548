FROM composer:2
RUN mkdir -p /usr/src/app
WORKDIR /usr/src/app
ONBUILD ARG BUILD_MODE=release
ONBUILD COPY composer.json composer.lock /usr/src/app/
ONBUILD RUN --mount=type=cache,target=/root/.composer/cache composer install --no-dev
ONBUILD COPY --chown=root:root . /usr/src/app
ONBUILD RUN <<EOF
composer dump-autoload -o
EOF
ONBUILD HEALTHCHECK --interval=1m CMD wget -q localhost:80
CMD ["php", "-S", "0.0.0.0:80", "-t", "public"]
