FROM haskell:9.4 AS build
WORKDIR /opt/build
COPY stack.yaml stack.yaml.lock package.yaml ./
RUN stack build --system-ghc --dependencies-only
COPY . .
RUN stack build --system-ghc --copy-bins --local-bin-path /opt/bin
FROM debian:buster-slim
RUN apt-get update && apt-get install -y libgmp10 netbase && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/bin/api /usr/local/bin/api
HEALTHCHECK --start-period=20s CMD wget -qO- http://127.0.0.1:3000/health || exit 1
CMD ["api"]
