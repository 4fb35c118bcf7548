FROM wordpress:6.4-php8.2-apache
RUN pecl install redis && docker-php-ext-enable redis
COPY --chown=www-data:www-data wp-content/ /var/www/html/wp-content/
COPY php.ini $PHP_INI_DIR/conf.d/uploads.ini
