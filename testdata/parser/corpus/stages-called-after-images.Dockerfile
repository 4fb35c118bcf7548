FROM composer AS composer
FROM node AS node
FROM golang AS golang1
FROM nginx AS web
FROM node AS nodes
COPY --from=composer /usr/bin/composer /usr/bin/
COPY --from=golang1 /usr/local/go /usr/local/go
COPY --from=web /etc/nginx /etc/nginx
