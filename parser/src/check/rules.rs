//! The checks that look at several instructions at once and need nothing but the text.
//!
//! Checks of one instruction are made where it is parsed; those that need variables or a base image are made
//! by the graph. Names and wording are Docker's, because users grep for them.

use std::collections::HashSet;

use super::Checks;
use super::definition::descriptions;
use super::secret::is_secret;
use crate::comments::Comments;
use crate::diagnostic::Diagnostic;
use crate::instruction::{Command, Dockerfile, Instruction, Stage, Word};
use crate::span::Span;

/// Names that mean something else after FROM and in `--from`.
const RESERVED: [&str; 2] = ["context", "scratch"];

/// The rule about instructions of which only the last counts.
const REPEATED: &str = "MultipleInstructionsDisallowed";

/// What the rules find in `dockerfile`, whose text is `source`.
pub(crate) fn warnings(
    source: &str,
    dockerfile: &Dockerfile,
    comments: &Comments<'_>,
    checks: &Checks,
) -> Vec<Diagnostic> {
    let mut found = casing(source, dockerfile);
    found.extend(stage_names(dockerfile));
    found.extend(descriptions(dockerfile, comments));
    for stage in &dockerfile.stages {
        found.extend(repeated(source, stage, checks));
        found.extend(stage.instructions.iter().flat_map(secrets));
    }
    found
}

/// ConsistentInstructionCasing: all upper case or all lower case, as most of them are.
fn casing(source: &str, dockerfile: &Dockerfile) -> Vec<Diagnostic> {
    let keywords: Vec<(Span, &str)> = dockerfile
        .stages
        .iter()
        .flat_map(|stage| std::iter::once(stage.from.keyword).chain(stage.instructions.iter().map(keyword)))
        .filter_map(|span| Some((span, source.get(span.range())?)))
        .collect();
    let lower = keywords.iter().filter(|(_, word)| is_lower(word)).count();
    let upper = keywords.iter().filter(|(_, word)| is_upper(word)).count();
    let (right, name): (fn(&str) -> bool, _) =
        if lower > upper { (is_lower, "lowercase") } else { (is_upper, "uppercase") };
    let wrong = keywords.into_iter().filter(|(_, word)| !right(word));
    wrong
        .map(|(span, word)| {
            let message = format!("Command '{word}' should match the case of the command majority ({name})");
            Diagnostic::warning("ConsistentInstructionCasing", message, span)
        })
        .collect()
}

fn keyword(instruction: &Instruction) -> Span {
    instruction.keyword
}

fn is_lower(word: &str) -> bool {
    !word.contains(|c: char| c.is_ascii_uppercase())
}

fn is_upper(word: &str) -> bool {
    !word.contains(|c: char| c.is_ascii_lowercase())
}

/// DuplicateStageName and ReservedStageName.
fn stage_names(dockerfile: &Dockerfile) -> Vec<Diagnostic> {
    let mut seen = HashSet::new();
    let mut found = Vec::new();
    for name in dockerfile.stages.iter().filter_map(|stage| stage.from.name.as_ref()) {
        if RESERVED.contains(&name.value.as_str()) {
            let message =
                format!("Stage name should not use the same name as reserved stage \"{}\"", name.value);
            found.push(Diagnostic::warning("ReservedStageName", message, name.span));
        }
        if !seen.insert(name.value.as_str()) {
            let message = format!("Duplicate stage name \"{}\", stage names should be unique", name.value);
            found.push(Diagnostic::warning("DuplicateStageName", message, name.span));
        }
    }
    found
}

/// MultipleInstructionsDisallowed: points at the ones that have no effect. A comment above the one that has an effect
/// skips it as well, as in Docker.
fn repeated(source: &str, stage: &Stage, checks: &Checks) -> Vec<Diagnostic> {
    let mut last: [Option<Span>; 3] = [None; 3];
    let mut found = Vec::new();
    for instruction in &stage.instructions {
        let index = match instruction.command {
            Command::Cmd(_) => 0,
            Command::Entrypoint(_) => 1,
            Command::Healthcheck(_) => 2,
            _ => continue,
        };
        let name = source.get(instruction.keyword.range()).unwrap_or_default();
        let before = last[index].replace(instruction.span);
        if let Some(before) = before.filter(|_| checks.wants(REPEATED, instruction.span)) {
            let message = format!(
                "Multiple {name} instructions should not be used in the same stage because only the last \
                 one will be used"
            );
            found.push(Diagnostic::warning(REPEATED, message, before));
        }
    }
    found
}

/// SecretsUsedInArgOrEnv: what ARG and ENV hold can be read in the image's history and configuration.
fn secrets(instruction: &Instruction) -> Vec<Diagnostic> {
    let (keyword, names): (_, Vec<&Word>) = match &instruction.command {
        Command::Arg(declarations) => ("ARG", declarations.iter().map(|one| &one.name).collect()),
        Command::Env(pairs) => ("ENV", pairs.iter().map(|pair| &pair.key).collect()),
        _ => return Vec::new(),
    };
    let names = names.into_iter().filter(|name| is_secret(&name.value));
    let finding = |name: &Word| {
        let message =
            format!("Do not use ARG or ENV instructions for sensitive data ({keyword} {:?})", name.value);
        Diagnostic::warning("SecretsUsedInArgOrEnv", message, name.span)
            .with_help("give it to the RUN that needs it with --mount=type=secret")
    };
    names.map(finding).collect()
}
