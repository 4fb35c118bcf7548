from node:20 as build
workdir /app
add . .
run npm ci && npm run build
env NODE_ENV production
expose 3000
volume /app/data
cmd node dist/main.js
