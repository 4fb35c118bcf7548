FROM rust:1.76-slim AS deps
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
RUN cargo fetch --locked

FROM deps AS build
COPY . .
RUN cargo build --release --locked

FROM build AS test
RUN ./ci/test.sh --junit /reports/rust.xml

FROM scratch AS reports
COPY --from=test /reports/ /

FROM rust:1.76-slim
WORKDIR /srv/rust
COPY --from=build --chown=65532:65532 /src/target/release ./target/release
USER 65532
EXPOSE 9000/tcp
ENTRYPOINT ["target/release/app"]
