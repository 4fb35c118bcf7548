from rust:1.76 as build
workdir /app
add . .
run cargo fetch --locked && cargo build --release --locked
env CARGO_TERM_COLOR never
expose 9000
volume /app/data
cmd target/release/app
