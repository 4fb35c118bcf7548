//! How long a Dockerfile of one megabyte takes to parse: `cargo bench -p kiln-parser --bench parse`.
//!
//! Prints for each shape of file the fastest and the median of several rounds. The aim is under 50 ms.

#![allow(clippy::disallowed_types, reason = "a benchmark reads the clock")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use kiln_parser::parse;

/// The size of each file, in bytes.
const SIZE: usize = 1_000_000;

/// The most that parsing one may take.
const AIM: Duration = Duration::from_millis(50);

/// How often each is parsed.
const ROUNDS: usize = 21;

/// The stage of an ordinary application.
const STAGE: &str = "FROM --platform=$BUILDPLATFORM golang:${GO:-1.25}-bookworm
WORKDIR /src
COPY --link go.mod go.sum ./
# Downloads stay in a cache.
RUN --mount=type=cache,target=/go/pkg/mod \\
    --mount=type=secret,id=token,env=TOKEN \\
    go mod download
COPY --chown=1000:1000 --exclude=*.md . .
ARG TARGETOS TARGETARCH VERSION=\"1.0 beta\"
ENV CGO_ENABLED=0 PATH=/go/bin:$PATH NAME='a b'
RUN GOOS=$TARGETOS GOARCH=$TARGETARCH \\
    # strip it
    go build -ldflags=\"-s -w\" -o /out/app ./cmd/app
COPY <<EOF /etc/app.conf
listen = :8080
EOF
HEALTHCHECK --interval=30s --retries=3 CMD curl -f http://localhost:8080/ || exit 1
LABEL org.opencontainers.image.title=\"An application\"
ENTRYPOINT [\"/out/app\", \"serve\"]

";

fn main() {
    let shapes = [
        ("stages", "", STAGE),
        (
            "one long RUN",
            "FROM a\nRUN true ",
            "\\\n    && apt-get install -y --no-install-recommends gcc make",
        ),
        ("one heredoc", "FROM a\nRUN <<EOF\n", "apt-get install -y \"$x\" \\\n"),
        ("mistakes", "FROM a\n", "RNU a\nCOPY --form=b c\n"),
    ];
    for (name, before, middle) in shapes {
        report(name, &file(before, middle));
    }
}

/// A file of [`SIZE`] bytes at least: `before`, and `middle` as often as it takes.
fn file(before: &str, middle: &str) -> String {
    let end = if before.contains("<<EOF") { "EOF\n" } else { "\n" };
    format!("{before}{}{end}", middle.repeat(SIZE / middle.len() + 1))
}

fn report(name: &str, source: &str) {
    let mut times: Vec<Duration> = (0..ROUNDS).map(|_| once(source)).collect();
    times.sort();
    let (fastest, median) = (times[0], times[ROUNDS / 2]);
    let verdict = if median < AIM { "" } else { "  over the aim of 50 ms" };
    println!(
        "{name:14} {:8} bytes  fastest {:7.2} ms  median {:7.2} ms{verdict}",
        source.len(),
        fastest.as_secs_f64() * 1e3,
        median.as_secs_f64() * 1e3
    );
}

fn once(source: &str) -> Duration {
    let begin = Instant::now();
    black_box(parse(black_box(source)));
    begin.elapsed()
}
