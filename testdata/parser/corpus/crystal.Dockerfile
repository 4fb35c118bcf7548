FROM crystallang/crystal:1.10-alpine as builder
WORKDIR /app
COPY ./shard.yml ./shard.lock /app/
RUN shards install --production -v
COPY . /app/
RUN shards build --static --no-debug --release --production -v
FROM alpine
WORKDIR /
COPY --from=builder /app/bin/app .
ENTRYPOINT ["/app"]
