//! `kiln why`: what the last build of a Dockerfile did, and why.
//!
//! The account was written by that build; [`select`] finds the step that is meant, [`show`] makes text of it. What a step's
//! key was made of is read from the records, which may be gone by now.

mod select;
mod show;

use std::path::{Path, PathBuf};

use kiln_builder::account::{BuildAccount, StepAccount};
use kiln_cache::{Key, Record, Store};
use serde_json::{Value, json};

use crate::error::CliError;
use crate::flags::call::AnswerFormat;
use crate::flags::why::WhyFlags;
use crate::output;
use crate::session::Session;

/// A part of a step's key, then and now.
struct ComparedPart {
    name: String,
    before: Option<String>,
    after: Option<String>,
}

/// Shows the account, or one step of it.
pub fn perform(flags: &WhyFlags, session: &Session) -> Result<(), CliError> {
    let store = session.store()?;
    let project = project(flags)?;
    let Some(account) = load(&store, &project)? else { return Err(unknown(&project)) };
    let json = flags.format == Some(AnswerFormat::Json);
    let Some(wanted) = &flags.step else {
        let text = if json { format!("{:#}\n", json!(account)) } else { show::build(&account) };
        return output::print(&text);
    };
    let step = select::step(&account, wanted)?;
    let parts = parts(&store, step)?;
    if json {
        return output::print(&format!("{:#}\n", document(step, parts.as_deref())));
    }
    output::print(&show::step(step, parts.as_deref()))
}

/// The project's account. A context from elsewhere and the Dockerfile in it are one name to a build.
fn load(store: &Store, project: &str) -> Result<Option<BuildAccount>, CliError> {
    let named = |name: &str| BuildAccount::load(store, name).map_err(to_cli);
    match named(project)? {
        Some(account) => Ok(Some(account)),
        None => named(&format!("{project} Dockerfile")),
    }
}

/// Which project is meant, as the build named it.
fn project(flags: &WhyFlags) -> Result<String, CliError> {
    if let Some(project) = &flags.project {
        return Ok(project.clone());
    }
    let path = flags.file.clone().unwrap_or_else(|| {
        let lower = PathBuf::from("dockerfile");
        let usual = PathBuf::from("Dockerfile");
        if !usual.exists() && lower.exists() { lower } else { usual }
    });
    let path = if path.is_dir() { path.join("Dockerfile") } else { path };
    let found = std::fs::canonicalize(&path).map_err(|_| nothing_at(&path))?;
    Ok(found.display().to_string())
}

fn nothing_at(path: &Path) -> CliError {
    CliError::usage_with_hint(
        format!("there is no Dockerfile at {}", path.display()),
        "-f names the Dockerfile whose last build is meant, --project a URL that was built from",
    )
}

fn unknown(project: &str) -> CliError {
    CliError::usage_with_hint(
        format!("no build of {project} is known"),
        "build it first; --root or KILN_ROOT must name the same store as then",
    )
}

fn to_cli(error: kiln_builder::BuildError) -> CliError {
    CliError::Build { source: Box::new(error), excerpt: String::new() }
}

/// The parts of the step's key against those of what it was compared with; `None` if no record of it is left.
fn parts(store: &Store, step: &StepAccount) -> Result<Option<Vec<ComparedPart>>, CliError> {
    let read = |key: Option<Key>| -> Result<Option<Record>, CliError> {
        let record = key.map(|key| store.records().get(&key)).transpose();
        Ok(record.map_err(kiln_cache::StoreError::from)?.flatten())
    };
    let Some(new) = read(step.key)? else { return Ok(None) };
    let old = read(step.previous.as_ref().map(|previous| previous.key))?;
    let mut old: Vec<_> = old.map(|record| record.parts).unwrap_or_default();
    let compared = !old.is_empty();
    let mut parts = Vec::with_capacity(new.parts.len());
    for part in new.parts {
        let at = old.iter().position(|old| old.name == part.name);
        let before = match at {
            Some(at) => Some(old.remove(at).value),
            None if compared => None,
            None => Some(part.value.clone()),
        };
        parts.push(ComparedPart { name: part.name, before, after: Some(part.value) });
    }
    parts.extend(old.into_iter().map(|part| ComparedPart {
        name: part.name,
        before: Some(part.value),
        after: None,
    }));
    Ok(Some(parts))
}

fn document(step: &StepAccount, parts: Option<&[ComparedPart]>) -> Value {
    let parts = parts.map(|parts| {
        parts
            .iter()
            .map(|part| json!({ "name": part.name, "before": part.before, "after": part.after }))
            .collect::<Vec<_>>()
    });
    let mut document = json!(step);
    document["parts"] = json!(parts);
    document
}
