FROM nimlang/nim:2.0.0-alpine-regular
WORKDIR /tmp/build
COPY . .
RUN nimble install -y && nimble build -d:release --passL:-static && mv server /usr/local/bin/ && rm -rf /tmp/build
CMD ["server"]
