# The go service, in the plainest way.
FROM golang:1.22
WORKDIR /app
COPY . /app
RUN go mod download \
 && go build -o dist/app ./cmd/app
ENV CGO_ENABLED=0
EXPOSE 8080
CMD ["./dist/app", "serve"]
