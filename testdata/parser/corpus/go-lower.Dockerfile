from golang:1.22 as build
workdir /app
add . .
run go mod download && go build -o dist/app ./cmd/app
env CGO_ENABLED 0
expose 8080
volume /app/data
cmd ./dist/app serve
