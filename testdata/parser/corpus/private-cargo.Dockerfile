# syntax=docker/dockerfile:1.2
FROM rust AS b
RUN --mount=type=ssh \
    --mount=type=cache,target=/usr/local/cargo/git \
    --mount=type=cache,target=/usr/local/cargo/registry,id=cargo-registry,sharing=shared \
    CARGO_NET_GIT_FETCH_WITH_CLI=true cargo fetch
