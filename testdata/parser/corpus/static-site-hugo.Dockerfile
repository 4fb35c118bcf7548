FROM klakegg/hugo:ext-alpine AS site
COPY . /src
ARG HUGO_ENV=production
RUN hugo --minify --environment "$HUGO_ENV"
FROM nginx:alpine
COPY --from=site /src/public /usr/share/nginx/html
