//! `--call=outline`: what the target can be given: build arguments, secrets, SSH agents, and its cache mounts.

use kiln_parser::comments::Comments;
use kiln_parser::{Diagnostic, Dockerfile};
use serde::Serialize;

use super::aligned;
use super::location::{Location, Places};
use crate::lower::{LowerOptions, Outline, Parameter, outline};

/// Docker's answer.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Answer {
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    description: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    args: Vec<Argument>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    secrets: Vec<Mounted>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ssh: Vec<Mounted>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cache: Vec<Cache>,
    sources: Vec<String>,
}

#[derive(Debug, Clone, Serialize)]
struct Argument {
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    description: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    value: String,
    location: Location,
}

#[derive(Debug, Clone, Serialize)]
struct Mounted {
    name: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    required: bool,
    location: Location,
}

#[derive(Debug, Clone, Serialize)]
struct Cache {
    #[serde(rename = "ID")]
    id: String,
    location: Location,
}

impl Answer {
    /// The parameters of the options' target; a mistake if the file has no such target.
    pub fn new(text: &str, dockerfile: &Dockerfile, options: &LowerOptions) -> Result<Self, Box<Diagnostic>> {
        let outline = outline(dockerfile, options)?;
        let (places, comments) = (Places::new(text, dockerfile), Comments::new(text));
        let mut answer = to_answer(&outline, &places, &comments);
        if let Some(from) = dockerfile.stages.get(outline.stage).map(|stage| &stage.from) {
            answer.name = from.name.as_ref().map(|name| name.value.clone()).unwrap_or_default();
            answer.description = comments.description(from.span, &answer.name).unwrap_or_default().to_owned();
        }
        Ok(answer)
    }

    /// The answer for people.
    pub fn to_text(&self) -> String {
        text_of(self)
    }
}

fn to_answer(outline: &Outline, places: &Places<'_>, comments: &Comments<'_>) -> Answer {
    let args = outline.args.iter().map(|arg| Argument {
        name: arg.name.clone(),
        description: comments.description(arg.span, &arg.name).unwrap_or_default().to_owned(),
        value: arg.value.clone(),
        location: places.location(arg.span),
    });
    let mounted = |parameter: &Parameter| Mounted {
        name: parameter.id.clone(),
        required: parameter.required,
        location: places.location(parameter.span),
    };
    let cache =
        |parameter: &Parameter| Cache { id: parameter.id.clone(), location: places.location(parameter.span) };
    Answer {
        args: args.collect(),
        secrets: outline.secrets.iter().map(mounted).collect(),
        ssh: outline.ssh.iter().map(mounted).collect(),
        cache: outline.caches.iter().map(cache).collect(),
        sources: vec![places.data()],
        ..Answer::default()
    }
}

fn text_of(answer: &Answer) -> String {
    let mut text = String::new();
    if !answer.name.is_empty() || !answer.description.is_empty() {
        let mut rows = vec![vec!["TARGET:".to_owned(), answer.name.clone()]];
        if !answer.description.is_empty() {
            rows.push(vec!["DESCRIPTION:".to_owned(), answer.description.clone()]);
        }
        text.push_str(&aligned(&rows, 1));
        text.push('\n');
    }
    let args =
        answer.args.iter().map(|arg| vec![arg.name.clone(), arg.value.clone(), arg.description.clone()]);
    table(&mut text, &["BUILD ARG", "VALUE", "DESCRIPTION"], args.collect());
    for (head, list) in [("SECRET", &answer.secrets), ("SSH", &answer.ssh)] {
        let required = |one: &Mounted| if one.required { "true".to_owned() } else { String::new() };
        let rows = list.iter().map(|one| vec![one.name.clone(), required(one)]);
        table(&mut text, &[head, "REQUIRED"], rows.collect());
    }
    table(&mut text, &["CACHE"], answer.cache.iter().map(|cache| vec![cache.id.clone()]).collect());
    text
}

/// Appends a table and a blank line, if there are rows.
fn table(text: &mut String, head: &[&str], rows: Vec<Vec<String>>) {
    if rows.is_empty() {
        return;
    }
    let head = head.iter().map(|&cell| cell.to_owned()).collect();
    let all: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
    text.push_str(&aligned(&all, 3));
    text.push('\n');
}
