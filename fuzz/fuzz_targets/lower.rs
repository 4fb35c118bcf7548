//! Any text as a Dockerfile whose bases are all there: nothing panics, there is a plan or an error, and every place that is
//! named is in the text.

#![no_main]

use kiln_graph::image::{ContainerConfig, ImageConfig};
use kiln_graph::lower::outline;
use kiln_graph::plan::{BaseRequest, ResolveBase, ResolveFailure, ResolvedBase};
use kiln_graph::{LowerOptions, lower, remote_source};
use kiln_parser::{Diagnostic, parse};
use libfuzzer_sys::fuzz_target;

/// A registry that has every image, with triggers in some.
struct Everything;

impl ResolveBase for Everything {
    fn resolve(&self, requests: &[BaseRequest]) -> Vec<Result<ResolvedBase, ResolveFailure>> {
        requests.iter().map(|request| Ok(image(request))).collect()
    }
}

fn image(request: &BaseRequest) -> ResolvedBase {
    let on_build =
        if request.reference.len() % 8 == 1 { vec!["COPY . $HOME".to_owned()] } else { Vec::new() };
    let config = ContainerConfig {
        env: vec!["PATH=/bin".to_owned(), "HOME=/root".to_owned()],
        on_build,
        ..ContainerConfig::default()
    };
    let config = ImageConfig {
        os: "linux".to_owned(),
        architecture: "amd64".to_owned(),
        config,
        ..ImageConfig::default()
    };
    ResolvedBase { digest: "sha256:0".to_owned(), config }
}

fuzz_target!(|source: &str| {
    let dockerfile = parse(source).dockerfile;
    for check in [false, true] {
        let mut options = LowerOptions { check, ..LowerOptions::default() };
        options.build_args.insert("A".to_owned(), "arm64".to_owned());
        let lowered = lower(source, &dockerfile, &options, &Everything);
        let has_errors = lowered.diagnostics.iter().any(Diagnostic::is_error);
        assert!(lowered.plan.is_some() != has_errors, "neither a plan nor an error, or both");
        for diagnostic in &lowered.diagnostics {
            assert!(source.get(diagnostic.span.range()).is_some(), "{diagnostic:?} is outside of the text");
        }
        if outline(&dockerfile, &options).is_err() {
            assert!(has_errors, "an outline fails where a build does not");
        }
    }
    if let Some(line) = source.lines().next() {
        let _ = remote_source(line);
    }
});
