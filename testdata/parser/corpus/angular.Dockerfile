FROM node:20 AS ng
WORKDIR /workspace
COPY ["package.json", "package-lock.json*", "./"]
RUN npm ci && npx ngcc --properties es2023 browser module main --first-only --create-ivy-entry-points || true
COPY . .
ARG configuration=production
RUN npm run build -- --output-path=./dist/out --configuration $configuration
FROM nginxinc/nginx-unprivileged:1.25
COPY --from=ng /workspace/dist/out/ /usr/share/nginx/html
COPY ./nginx-custom.conf /etc/nginx/conf.d/default.conf
