# The php service, in the plainest way.
FROM composer:2
WORKDIR /app
COPY . /app
RUN composer install --no-dev \
 && composer dump-autoload -o
ENV APP_ENV=prod
EXPOSE 80
CMD ["php", "-S", "0.0.0.0:80", "-t", "public"]
