# The rust service, in the plainest way.
FROM rust:1.76
WORKDIR /app
COPY . /app
RUN cargo fetch --locked \
 && cargo build --release --locked
ENV CARGO_TERM_COLOR=never
EXPOSE 9000
CMD ["target/release/app"]
