from composer:2 as build
workdir /app
add . .
run composer install --no-dev && composer dump-autoload -o
env APP_ENV prod
expose 80
volume /app/data
cmd php -S 0.0.0.0:80 -t public
