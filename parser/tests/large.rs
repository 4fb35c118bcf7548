//! Large inputs of every kind: what would take hours if anything were searched from the start each time.
//!
//! Nothing is timed here; a cost that grows with the square shows as a test that does not end.

#![allow(clippy::unwrap_used)]

use kiln_parser::{Parsed, parse};

fn repeated(before: &str, middle: &str, after: &str) -> Parsed {
    parse(&format!("FROM a\n{before}{}{after}\n", middle.repeat(400_000 / middle.len())))
}

#[test]
fn many_instructions_and_lines() {
    assert!(!repeated("", "RUN a && b\nENV A=b C=\"d e\"\nCOPY --from=x a b /c\n", "").has_errors());
    assert!(!repeated("RUN x ", "\\\n  && y ", "").has_errors());
    assert!(!repeated("RUN x ", "\\\n  # comment\n", "z").has_errors());
    assert!(!repeated("", "RUN <<EOF\nhello\nEOF\n", "").has_errors());
}

#[test]
fn many_words_flags_and_members() {
    assert!(!repeated("COPY ", "a b \\\n", "c").has_errors());
    assert!(!repeated("ENV ", "a=b c=\"d e\" \\\n", "").has_errors());
    assert!(!repeated("RUN [", "\"a\",\\\n", "\"b\"]").has_errors());
    assert!(!repeated("RUN ", "--mount=target=/a \\\n", "x").has_errors());
    assert!(!repeated("RUN --mount=", "ro,rw,\\\n", "ro x").has_errors());
    assert!(!repeated("COPY --from=", "'a'\"b\"\\\n", " x y").has_errors());
    assert_eq!(repeated("COPY ", "--exclude=a --link \\\n", "x y").diagnostics.len(), 19_046);
}

#[test]
fn many_instructions_behind_many_comments() {
    assert!(!repeated("", "# a comment\n", &"RUN x\n".repeat(60_000)).has_errors());
    let mistakes = repeated("", "# a comment\n", &"RUX x\n".repeat(20_000));
    assert_eq!(mistakes.diagnostics.len(), 20_000);
}

#[test]
fn many_mistakes() {
    assert_eq!(repeated("", "FOO bar\n", "").diagnostics.len(), 50_000);
    assert_eq!(repeated("", "RUN <<A\n A\n", "").diagnostics.len(), 36_363);
    let distinct: Vec<String> = (0..30_000).map(|name| format!("RUN <<A{name}\n A{name}")).collect();
    assert_eq!(parse(&format!("FROM a\n{}", distinct.join("\n"))).diagnostics.len(), 30_000);
    assert_eq!(repeated("RUN ", "<<A \\\n", "x").diagnostics.len(), 66_666);
}
