//! `# syntax=`: the frontend that would read the file elsewhere. Kiln reads it itself, whatever is named there, and says
//! so where that could make a difference.
//!
//! Called for the directive by [`crate::parse_with`], and by the graph for the build argument that takes its place.

use crate::diagnostic::{Diagnostic, shortened};
use crate::instruction::Dockerfile;
use crate::span::Span;

/// The version of the language that kiln reads: that of the frontend `docker/dockerfile` with the same instructions and
/// flags. What is new in a later one is unknown here.
const LANGUAGE: (u32, u32) = (1, 26);

/// The repositories of the frontend that reads Dockerfiles, under whatever registry and namespace they are mirrored.
const DOCKERFILE: [&str; 2] = ["dockerfile", "dockerfile-upstream"];

/// What has to be said about the directive of `dockerfile`.
pub(crate) fn of_directives(dockerfile: &Dockerfile) -> Option<Diagnostic> {
    // Without a stage the file is none of ours, and that is said as a mistake.
    let mut directives = dockerfile.directives.iter().filter(|_| !dockerfile.stages.is_empty());
    let syntax = directives.find(|directive| directive.name.value == "syntax")?;
    frontend(&syntax.value.value, syntax.value.span)
}

/// What has to be said where `written`, an image with arguments behind it, is named as the frontend at `span`.
pub fn frontend(written: &str, span: Span) -> Option<Diagnostic> {
    let image = written.split_whitespace().next()?;
    let name = image.split_once('@').map_or(image, |(name, _)| name);
    let last = name.rsplit('/').next().unwrap_or(name);
    let (repository, tag) = last.split_once(':').unwrap_or((last, ""));
    if !DOCKERFILE.contains(&repository) {
        let message = format!("this is read as a Dockerfile, not by the frontend {}", shortened(image));
        return Some(Diagnostic::warning("foreign-frontend", message, span));
    }
    let version = version(tag).filter(|version| *version > LANGUAGE)?;
    let (major, minor) = LANGUAGE;
    let message = format!(
        "kiln reads the language of version {major}.{minor}, and this names version {}.{}",
        version.0, version.1
    );
    let note = Diagnostic::note("newer-language", message, span);
    Some(note.with_help("what is new in that version is an unknown instruction or flag here"))
}

/// The first two numbers of `1`, `1.7`, `1.7.0-labs`; none in `latest`.
fn version(tag: &str) -> Option<(u32, u32)> {
    let numbers = tag.split_once('-').map_or(tag, |(numbers, _)| numbers);
    let mut parts = numbers.split('.').map(str::parse::<u32>);
    let major = parts.next()?.ok()?;
    Some((major, parts.next().and_then(Result::ok).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use crate::parse;

    fn said(syntax: &str) -> Vec<(&'static str, String)> {
        let found = parse(&format!("# syntax={syntax}\nFROM a\n")).diagnostics;
        found.into_iter().map(|found| (found.code, found.message)).collect()
    }

    #[test]
    fn versions_that_kiln_knows_are_read_in_silence() {
        for syntax in [
            "docker/dockerfile",
            "docker/dockerfile:1",
            "docker/dockerfile:1.0-experimental",
            "docker/dockerfile:1.7-labs",
            "docker/dockerfile:1.26",
            "docker/dockerfile:1.26.3",
            "docker/dockerfile:labs",
            "docker/dockerfile:latest --opt",
            "docker.io/docker/dockerfile-upstream:master",
            "registry.example.com:5000/mirror/dockerfile:1.4@sha256:0123",
        ] {
            assert_eq!(said(syntax), [], "{syntax}");
        }
    }

    #[test]
    fn newer_versions_are_remarked_on() {
        for (syntax, version) in [
            ("docker/dockerfile:1.27", "1.27"),
            ("docker/dockerfile:1.100.3-labs", "1.100"),
            ("docker.io/docker/dockerfile-upstream:2", "2.0"),
        ] {
            let message =
                format!("kiln reads the language of version 1.26, and this names version {version}");
            assert_eq!(said(syntax), [("newer-language", message)], "{syntax}");
        }
    }

    #[test]
    fn other_frontends_are_warned_of_and_the_rule_can_be_skipped() {
        let message = "this is read as a Dockerfile, not by the frontend example.com/recipe:2".to_owned();
        assert_eq!(said("example.com/recipe:2 --opt"), [("foreign-frontend", message)]);
        assert_eq!(said("recipe\n# check=skip=foreign-frontend"), []);
        assert_eq!(said("docker/dockerfile:2\n# check=skip=all"), []);
    }
}
