FROM php:8.1-fpm-alpine3.18

ARG user=app
ARG uid=1000

RUN set -eux; \
    apk add --no-cache --virtual .build-deps $PHPIZE_DEPS icu-dev libzip-dev zlib-dev; \
    \
    docker-php-ext-configure zip; \
    docker-php-ext-install -j$(nproc) intl zip; \
    pecl install apcu-5.1.22; \
    pecl clear-cache; \
    docker-php-ext-enable apcu opcache; \
    \
    runDeps="$( \
        scanelf --needed --nobanner --format '%n#p' --recursive /usr/local/lib/php/extensions \
            | tr ',' '\n' \
            | sort -u \
            | awk 'system("[ -e /usr/local/lib/" $1 " ]") == 0 { next } { print "so:" $1 }' \
    )"; \
    apk add --no-cache --virtual .app-phpexts-rundeps $runDeps; \
    \
    apk del .build-deps

RUN addgroup -g $uid $user && adduser -G $user -u $uid -D $user
WORKDIR /srv/app
COPY --link --chmod=755 docker/php/docker-entrypoint.sh /usr/local/bin/docker-entrypoint
HEALTHCHECK --interval=10s --timeout=3s --retries=3 CMD ["docker-healthcheck"]
ENTRYPOINT ["docker-entrypoint"]
CMD ["php-fpm"]
