# syntax=docker/dockerfile:1.6
FROM rust:1.76 AS build
WORKDIR /src
RUN --mount=type=cache,id=rust-$TARGETARCH,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=bind,target=. \
    --mount=type=secret,id=rust_token,env=RUST_CREDENTIALS <<EOF
set -eu
cargo fetch --locked
cargo build --release --locked # as in the pipeline
mkdir -p /out && cp -r "target/release" /out/
EOF
FROM rust:1.76
COPY --link --from=build /out/ /opt/rust/
WORKDIR /opt/rust
CMD ["target/release/app"]
