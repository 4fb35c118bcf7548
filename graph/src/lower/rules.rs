//! The checks that need more than the text: scopes, platforms, a base's configuration, the ignore patterns.
//!
//! Each is called where the lowering knows what it needs; which of the findings are wanted is decided at the end, in
//! [`super::lower`]. Names and wording are Docker's, because users grep for them.

use kiln_parser::Diagnostic;
use kiln_parser::expand::Lookup;
use kiln_parser::instruction::{self, CommandLine, Instruction, Word};
use kiln_parser::span::Span;
use oci_spec::distribution::Reference;

use super::Platforms;
use super::platform::Platform;
use super::scope::{FromWord, Globals};
use super::stage::StageLowering;
use crate::path;
use crate::pattern::IgnoreMatcher;

/// The variable that FROM's platform is taken from when it says nothing.
const TARGET_PLATFORM: &str = "TARGETPLATFORM";

/// Patterns that leave nothing of a context.
const EVERYTHING: [&str; 3] = ["*", "**", "**/*"];

/// RedundantTargetPlatform and FromPlatformFlagConstDisallowed; `found` is what `--platform` expanded to.
pub(super) fn platform_flag(
    stage: &instruction::Stage,
    word: &Word,
    found: &FromWord,
    platforms: &Platforms,
    globals: &Globals,
) -> Option<Diagnostic> {
    let target = globals.environment.get(TARGET_PLATFORM);
    if found.used == [TARGET_PLATFORM] && found.unset.is_empty() && target == Some(&found.value) {
        let message = format!(
            "Setting platform to predefined {} in FROM is redundant as this is the default behavior",
            word.value
        );
        return Some(Diagnostic::warning("RedundantTargetPlatform", message, word.span));
    }
    if word.value.contains('$') {
        return None;
    }
    let platform = Platform::parse(&found.value, Some(&platforms.build)).ok()?;
    let name = stage.from.name.as_ref().map_or("", |name| name.value.as_str());
    // A stage that is called after its platform is meant for that one.
    if name.contains(&platform.os) || name.contains(&platform.arch) {
        return None;
    }
    let message = format!("FROM --platform flag should not use constant value {:?}", found.value);
    let warning = Diagnostic::warning("FromPlatformFlagConstDisallowed", message, word.span);
    Some(warning.with_help("leave it out, use $BUILDPLATFORM, or name the stage after the platform"))
}

/// InvalidDefaultArgInFrom: what a base is called when no build argument is given. As in Docker, a name without variables is
/// looked at too, be it a stage's in other letters.
pub(super) fn default_base(base: &Word, globals: &Globals) -> Option<Diagnostic> {
    let expanded = globals.lex.expand_word(&base.value, globals.defaults.as_ref()?).ok()?;
    let value = expanded.value.as_str();
    if is_plain(value) || value.parse::<Reference>().is_ok() {
        return None;
    }
    let message = format!("Default value for ARG {} results in empty or invalid base image name", base.value);
    let warning = Diagnostic::warning("InvalidDefaultArgInFrom", message, base.span);
    let lower = value.to_lowercase();
    Some(if value.is_empty() {
        warning.with_help("give the ARG a default")
    } else if base.value.contains('$') {
        warning.with_note(format!("without build arguments the base is `{value}`"))
    } else if lower.parse::<Reference>().is_ok() {
        warning.with_help(format!("names of images and stages are lower case: write {lower}"))
    } else {
        warning
    })
}

/// Whether a text is surely a reference: lower-case words joined by single `.`, `_`, `-` and `/`, perhaps with a port and a tag.
/// The library's own answer takes tens of milliseconds the first time, which nearly every build would spend.
fn is_plain(value: &str) -> bool {
    const LONGEST: usize = 128;
    let is_word = |word: &str| {
        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase())
    };
    let is_part = |part: &str| part.split(['.', '_', '-']).all(is_word);
    let is_port =
        |port: &str| !port.is_empty() && port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit());
    let (name, tag) = match value.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (value, "latest"),
    };
    let is_tag = tag.len() <= LONGEST
        && !tag.starts_with(['.', '-'])
        && tag.split(['.', '_', '-']).all(|word| word.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    let name = match name.split_once('/') {
        Some((host, rest)) => match host.split_once(':') {
            Some((host, port)) if is_part(host) && is_port(port) => rest,
            Some(_) => return false,
            None => name,
        },
        None => name,
    };
    is_tag && !tag.is_empty() && value.len() <= LONGEST && name.split('/').all(is_part)
}

/// What COPY cannot find in the context, because `.dockerignore` leaves it out.
pub(super) struct Ignored {
    matcher: IgnoreMatcher,
    patterns: Vec<String>,
}

impl Ignored {
    /// `None` when nothing can be said: there are no patterns, wrong ones (which the builder reports), or ones that
    /// take files back in, so that what a directory holds would have to be looked at.
    pub fn new(patterns: &[String]) -> Option<Self> {
        if patterns.is_empty() || patterns.iter().any(|pattern| pattern.trim_start().starts_with('!')) {
            return None;
        }
        Some(Self { matcher: IgnoreMatcher::new(patterns).ok()?, patterns: patterns.to_owned() })
    }

    /// The pattern that leaves `source` out, if one does.
    fn pattern(&self, source: &str) -> Option<&str> {
        let pattern = match source.trim_start_matches('/') {
            "" | "." => self.patterns.iter().find(|pattern| EVERYTHING.contains(&pattern.trim())),
            relative => {
                let decision = self.matcher.decide(relative);
                decision.rule.filter(|_| decision.ignored).and_then(|rule| self.patterns.get(rule))
            }
        };
        pattern.map(String::as_str)
    }
}

impl StageLowering<'_, '_> {
    /// CopyIgnoredFile, for a source of COPY or ADD that is in the context.
    pub(super) fn check_ignored(&mut self, keyword: &str, source: &str, span: Span) {
        let cleaned = path::clean(source);
        let Some(pattern) = self.build.ignored.and_then(|ignored| ignored.pattern(&cleaned)) else { return };
        let verb = if keyword == "ADD" { "Add" } else { "Copy" };
        let message = format!("Attempting to {verb} file {cleaned:?} that is excluded by .dockerignore");
        let warning = Diagnostic::warning("CopyIgnoredFile", message, span);
        self.report(warning.with_note(format!("the pattern `{pattern}` leaves it out")));
    }

    /// JSONArgsRecommended: a shell between the runtime and the program does not hand signals on. Whoever chose
    /// a SHELL wants it.
    pub(super) fn check_shell_form(&mut self, instruction: &Instruction, line: &CommandLine) {
        let CommandLine::Shell { text } = line else { return };
        if self.state.config.config.shell.as_ref().is_some_and(|shell| !shell.is_empty()) {
            return;
        }
        let keyword = instruction.text.split_whitespace().next().unwrap_or_default();
        let message = format!(
            "JSON arguments recommended for {keyword} to prevent unintended behavior related to OS signals"
        );
        self.report(Diagnostic::warning("JSONArgsRecommended", message, text.span));
    }

    /// WorkdirRelativePath, for the first WORKDIR of a line of stages: those of a base may change with it.
    pub(super) fn check_workdir(&mut self, directory: &Word, written: &str) {
        if self.is_trigger()
            || std::mem::replace(&mut self.state.workdir_set, true)
            || written.starts_with('/')
        {
            return;
        }
        // A base that is not known may set the variable to an absolute path.
        if !self.state.base_known && directory.value.contains('$') {
            return;
        }
        let message =
            format!("Relative workdir {written:?} can have unexpected results if the base image changes");
        let warning = Diagnostic::warning("WorkdirRelativePath", message, directory.span);
        self.report(warning.with_help("begin with a WORKDIR that is an absolute path"));
    }

    /// ExposeProtoCasing and ExposeInvalidFormat.
    pub(super) fn check_port(&mut self, text: &str, span: Span) {
        let (port, protocol) = text.split_once('/').unwrap_or((text, ""));
        if protocol.contains(char::is_uppercase) {
            let message = format!("Defined protocol '{text}' in EXPOSE instruction should be lowercase");
            self.report(Diagnostic::warning("ExposeProtoCasing", message, span));
        }
        if port.rsplit_once(':').is_some_and(|(host, _)| !host.trim_matches(':').is_empty()) {
            let message = format!(
                "EXPOSE instruction should not define an IP address or host-port mapping, found '{text}'"
            );
            let warning = Diagnostic::warning("ExposeInvalidFormat", message, span);
            self.report(warning.with_help("write the container's port alone; `run -p` maps it"));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn ignored(patterns: &[&str]) -> Option<Ignored> {
        Ignored::new(&patterns.iter().map(|&pattern| pattern.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn sources_are_ignored_with_their_parents() {
        let some = ignored(&["target", "*.log", "docs/*"]).unwrap();
        for source in ["target", "target/x", "/target", "a.log", "docs/a", "*.log"] {
            assert!(some.pattern(source).is_some(), "{source}");
        }
        for source in [".", "/", "src", "docs", "src/a.log", "targets"] {
            assert_eq!(some.pattern(source), None, "{source}");
        }
        let all = ignored(&["*"]).unwrap();
        for source in [".", "/", "src"] {
            assert_eq!(all.pattern(source), Some("*"), "{source}");
        }
    }

    #[test]
    fn nothing_is_said_where_files_are_taken_back_in() {
        for patterns in [&[][..], &["*", "!src"], &["["]] {
            assert!(ignored(patterns).is_none(), "{patterns:?}");
        }
    }

    #[test]
    fn plain_references_are_references() {
        for name in
            ["a", "a.b-c_d/e:1.2-X_3", "localhost:5000/a/b", "127.0.0.1:5000/busybox", "ghcr.io/a/b:latest"]
        {
            assert!(is_plain(name) && name.parse::<Reference>().is_ok(), "{name}");
        }
        for name in [
            "",
            "A",
            "a:",
            ":a",
            "a//b",
            "a/",
            "/a",
            "-a",
            "a:-b",
            "a:b/c",
            "a b",
            "a@sha256:0",
            "a:b:c",
            "$A",
        ] {
            assert!(!is_plain(name), "{name}");
        }
    }
}
