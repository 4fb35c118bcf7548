//! Questions about a Dockerfile in place of a build: what the checks find, what a target can be given, which targets there
//! are, and which questions can be asked.

use std::collections::HashMap;

use kiln_graph::answer::check::{Shown, blocks, find, to_answer};
use kiln_graph::answer::is_mistake;
use kiln_graph::answer::location::Places;
use kiln_graph::answer::outline::Answer as Outline;
use kiln_graph::answer::targets::Targets;
use kiln_graph::lower::LowerOptions;
use kiln_parser::{Diagnostic, Parsed};
use prost_types::Any;
use serde::Serialize;
use serde_json::json;
use tonic::{Code, Status};

use super::report::Report;
use crate::build::Outcome;
use crate::failure;

/// The attribute that has the question.
pub(super) const REQUEST: &str = "requestid";

const LINT: &str = "frontend.lint";
const OUTLINE: &str = "frontend.outline";
const TARGETS: &str = "frontend.targets";
const DESCRIBE: &str = "frontend.subrequests.describe";

/// The version of all questions and answers.
const VERSION: &str = "1.0.0";

/// The type of a detail that names a question that has no answer.
const SUBREQUEST: &str = "github.com/moby/buildkit/errdefs.Subrequest+json";

/// The question that the attributes ask, if they ask one.
pub(super) fn of(attributes: &HashMap<String, String>) -> Option<&str> {
    attributes.get(REQUEST).map(String::as_str).filter(|request| !request.is_empty())
}

/// The answer to a question that needs no Dockerfile.
pub(super) fn without_dockerfile(request: &str) -> Result<Option<Outcome>, Status> {
    match request {
        DESCRIBE => describe().map(Some),
        LINT | OUTLINE | TARGETS => Ok(None),
        other => {
            let value = json!({ "name": other }).to_string().into_bytes();
            let detail = Any { type_url: SUBREQUEST.to_owned(), value };
            let message = format!("unsupported request {other}");
            Err(failure::with_details(Code::Unimplemented, &message, vec![detail]))
        }
    }
}

/// The answer to a question about a file, with those bases. Blocks the thread.
pub(super) fn answer(
    request: &str,
    report: &Report,
    options: &LowerOptions,
    bases: &dyn kiln_graph::plan::ResolveBase,
) -> Result<Outcome, Status> {
    let (name, text) = (report.source.name.as_str(), report.source.text.as_str());
    let checks = options.build_args.get(kiln_parser::check::BUILD_ARGUMENT).map(String::as_str);
    let parsed = kiln_parser::parse_with(text, checks);
    match request {
        LINT => {
            let (found, dockerfile) = find(text, parsed, checks, options, bases);
            let places = Places::new(text, &dockerfile);
            let shown = blocks(Shown { name, text, color: false }, &found);
            let answer = to_answer(name, &found, &places);
            let is_clean = found.violations.is_empty() && found.mistakes.is_empty();
            let mut outcome = outcome(&answer, &shown)?;
            let code = if is_clean { "0" } else { "1" };
            outcome.metadata.insert("result.statuscode".to_owned(), code.as_bytes().to_vec());
            Ok(outcome)
        }
        OUTLINE => {
            let dockerfile = sound(parsed, report)?;
            let answer = Outline::new(text, &dockerfile, options);
            let answer = answer.map_err(|mistake| report.mistakes(&[*mistake]))?;
            outcome(&answer, &answer.to_text())
        }
        _ => {
            let answer = Targets::new(text, &sound(parsed, report)?);
            outcome(&answer, &answer.to_text())
        }
    }
}

fn sound(parsed: Parsed, report: &Report) -> Result<kiln_parser::Dockerfile, Status> {
    let mistakes: Vec<Diagnostic> = parsed.diagnostics.into_iter().filter(is_mistake).collect();
    if mistakes.is_empty() { Ok(parsed.dockerfile) } else { Err(report.malformed(&mistakes)) }
}

fn outcome(answer: &impl Serialize, text: &str) -> Result<Outcome, Status> {
    let json = serde_json::to_vec_pretty(answer).map_err(|error| failure::told(Code::Internal, &error))?;
    let metadata = [
        ("result.json", json),
        ("result.txt", text.as_bytes().to_vec()),
        ("version", VERSION.as_bytes().to_vec()),
    ];
    let metadata = metadata.map(|(key, value)| (key.to_owned(), value)).into();
    Ok(Outcome { metadata, ..Outcome::default() })
}

/// All questions.
fn describe() -> Result<Outcome, Status> {
    let questions = [
        (OUTLINE, "What the target can be given", &["target"] as &[&str], &[] as &[&str]),
        (TARGETS, "The targets that can be built", &[], &[]),
        (LINT, "What the checks find in the Dockerfile", &[], &["result.statuscode"]),
        (DESCRIBE, "The questions that can be asked", &[], &[]),
    ];
    let named = |name: &&str| json!({ "name": name, "description": "" });
    let all = questions.iter().map(|(name, description, options, more)| {
        let metadata = ["result.json", "result.txt"];
        json!({
            "name": name, "version": VERSION, "type": "rpc", "description": description,
            "opts": options.iter().map(named).collect::<Vec<_>>(), "inputs": null,
            "metadata": metadata.iter().chain(*more).map(named).collect::<Vec<_>>(), "refs": null,
        })
    });
    let lines = questions.iter().map(|(name, description, ..)| {
        let name = name.trim_start_matches("frontend.");
        format!("{name:<20} {VERSION} {description}\n")
    });
    outcome(&all.collect::<Vec<_>>(), &lines.collect::<String>())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn questions_are_described_and_others_are_refused() {
        let outcome = without_dockerfile(DESCRIBE).unwrap().unwrap();
        let all: serde_json::Value = serde_json::from_slice(&outcome.metadata["result.json"]).unwrap();
        assert_eq!(all.as_array().unwrap().len(), 4);
        assert!(without_dockerfile(LINT).unwrap().is_none());
        let refused = without_dockerfile("frontend.x").unwrap_err();
        assert_eq!(refused.message(), "unsupported request frontend.x");
    }
}
