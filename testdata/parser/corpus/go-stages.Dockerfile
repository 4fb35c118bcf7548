FROM golang:1.22-alpine AS deps
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download

FROM deps AS build
COPY . .
RUN go build -o dist/app ./cmd/app

FROM build AS test
RUN ./ci/test.sh --junit /reports/go.xml

FROM scratch AS reports
COPY --from=test /reports/ /

FROM golang:1.22-alpine
WORKDIR /srv/go
COPY --from=build --chown=65532:65532 /src/dist ./dist
USER 65532
EXPOSE 8080/tcp
ENTRYPOINT ["./dist/app", "serve"]
