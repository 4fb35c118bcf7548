FROM composer:2.6 AS deps
WORKDIR /src
COPY composer.json composer.lock ./
RUN composer install --no-dev

FROM deps AS build
COPY . .
RUN composer dump-autoload -o

FROM build AS test
RUN ./ci/test.sh --junit /reports/php.xml

FROM scratch AS reports
COPY --from=test /reports/ /

FROM composer:2.6
WORKDIR /srv/php
COPY --from=build --chown=65532:65532 /src/public ./public
USER 65532
EXPOSE 80/tcp
ENTRYPOINT ["php", "-S", "0.0.0.0:80", "-t", "public"]
