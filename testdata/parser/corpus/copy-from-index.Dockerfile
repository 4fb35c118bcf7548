FROM golang:1.21
RUN go install example.org/tool@latest
FROM alpine
COPY --from=0 /go/bin/tool /usr/bin/
