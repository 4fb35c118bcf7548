//! Whatever a Dockerfile says, lowering it ends in a plan that keeps its laws, or in a diagnostic.
#![allow(clippy::unwrap_used, clippy::expect_used)]

// Plans are printed by the goldens only.
#[allow(dead_code)]
mod toy;

use std::fmt::Write;

use kiln_graph::lower::outline;
use kiln_graph::plan::{BaseRequest, ResolveBase, ResolveFailure, ResolvedBase};
use kiln_graph::{LowerOptions, lower};
use proptest::prelude::*;

/// Pieces that mean something, so that lowering is reached and not only the parser's refusals.
fn line() -> impl Strategy<Value = String> {
    let keyword = prop::sample::select(vec![
        "FROM debian:12",
        "FROM debian:12 AS a",
        "FROM a AS b",
        "FROM scratch",
        "FROM onbuild",
        "FROM service",
        "FROM 0",
        "FROM --platform=$TARGETPLATFORM",
        "FROM --platform=",
        "FROM $A",
        "ARG",
        "ENV",
        "RUN",
        "COPY",
        "COPY --from=a",
        "COPY --from=0 --chown=$A",
        "ADD",
        "ADD --chmod=",
        "CMD",
        "ENTRYPOINT",
        "EXPOSE",
        "VOLUME",
        "USER",
        "WORKDIR",
        "LABEL",
        "HEALTHCHECK CMD",
        "STOPSIGNAL",
        "SHELL",
        "ONBUILD RUN",
        "ONBUILD COPY --from=a",
        "MAINTAINER",
        "RUN --mount=type=tmpfs,target=",
        "RUN --network=none",
        "RUN <<EOF",
        "COPY <<EOF",
        "#",
        "EOF",
    ]);
    let rest = prop_oneof![
        Just(String::new()),
        "[ -~]{0,12}",
        "(a|b|\\$A|\\$\\{A:-b\\}|\\$\\{A#\\*\\}|/x|\\.\\.|\\.|=|A=1|B=\\$A| |\"|'|\\\\|80/tcp|1-65535|\\[\"x\"\\]){0,6}",
        any::<String>(),
    ];
    (keyword, rest).prop_map(|(keyword, rest)| format!("{keyword} {rest}"))
}

/// Knows no image.
struct Nobody;

impl ResolveBase for Nobody {
    fn resolve(&self, requests: &[BaseRequest]) -> Vec<Result<ResolvedBase, ResolveFailure>> {
        vec![Err(ResolveFailure { message: "nobody answers".to_owned(), help: None }); requests.len()]
    }
}

fn check(source: &str, target: Option<String>) -> Result<(), TestCaseError> {
    let parsed = kiln_parser::parse(source);
    let build_args = [("A".to_owned(), "a b".to_owned())].into();
    let options = LowerOptions { target, build_args, ..LowerOptions::default() };
    let lowered = lower(source, &parsed.dockerfile, &options, &toy::Bases::default());
    toy::check_invariants(lowered.plan.as_ref());
    let failed = lowered.diagnostics.iter().any(kiln_parser::Diagnostic::is_error);
    prop_assert_eq!(failed, lowered.plan.is_none(), "a plan or an error, and not both");
    for diagnostic in &lowered.diagnostics {
        prop_assert!(diagnostic.span.start <= diagnostic.span.end && diagnostic.span.end <= source.len());
    }
    drop(outline(&parsed.dockerfile, &options));
    // A check looks at all stages, and its bases are not known.
    let options = LowerOptions { check: true, ignore: vec!["x*".to_owned(), "a/b".to_owned()], ..options };
    for diagnostic in lower(source, &parsed.dockerfile, &options, &Nobody).diagnostics {
        prop_assert!(diagnostic.code != "base-image" || !diagnostic.is_error());
        prop_assert!(diagnostic.span.start <= diagnostic.span.end && diagnostic.span.end <= source.len());
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn on_lines_of_dockerfiles(lines in prop::collection::vec(line(), 0..12), target in prop::option::of("a|b|0|1|x")) {
        let mut source = String::from("FROM debian:12 AS a\n");
        for line in lines {
            writeln!(source, "{line}").unwrap();
        }
        check(&source, target)?;
    }

    #[test]
    fn on_any_text(text in any::<String>()) {
        check(&text, None)?;
        check(&format!("FROM scratch\n{text}"), None)?;
    }
}
