FROM rust:1.76
RUN mkdir -p /usr/src/app
WORKDIR /usr/src/app
ONBUILD ARG BUILD_MODE=release
ONBUILD COPY Cargo.toml Cargo.lock /usr/src/app/
ONBUILD RUN --mount=type=cache,target=/usr/local/cargo/registry cargo fetch --locked
ONBUILD COPY --chown=root:root . /usr/src/app
ONBUILD RUN <<EOF
cargo build --release --locked
EOF
ONBUILD HEALTHCHECK --interval=1m CMD wget -q localhost:9000
CMD ["target/release/app"]
