//! `--call=targets`: the stages that can be built, with the descriptions that comments give them.

use kiln_parser::Dockerfile;
use kiln_parser::comments::Comments;
use serde::Serialize;

use super::aligned;
use super::location::{Location, Places};

/// Docker's answer.
#[derive(Debug, Clone, Serialize)]
pub struct Targets {
    targets: Vec<Target>,
    sources: Vec<String>,
}

#[derive(Debug, Clone, Serialize)]
struct Target {
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    default: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    description: String,
    base: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<String>,
    location: Location,
}

impl Targets {
    /// The targets of the file.
    pub fn new(text: &str, dockerfile: &Dockerfile) -> Self {
        let (comments, places) = (Comments::new(text), Places::new(text, dockerfile));
        let last = dockerfile.stages.len().saturating_sub(1);
        let target = |(index, stage): (usize, &kiln_parser::instruction::Stage)| {
            let name = stage.from.name.as_ref().map(|name| name.value.clone()).unwrap_or_default();
            let description = comments.description(stage.from.span, &name).unwrap_or_default().to_owned();
            Target {
                default: index == last,
                description,
                base: stage.from.base.value.clone(),
                platform: stage.from.platform.as_ref().map(|platform| platform.value.clone()),
                location: places.location(stage.from.span),
                name,
            }
        };
        let targets = dockerfile.stages.iter().enumerate().map(target).collect();
        Self { targets, sources: vec![places.data()] }
    }

    /// The answer for people.
    pub fn to_text(&self) -> String {
        text_of(self)
    }
}

fn text_of(answer: &Targets) -> String {
    let mut rows = vec![vec!["TARGET".to_owned(), "DESCRIPTION".to_owned()]];
    for target in &answer.targets {
        let name = match (target.name.as_str(), target.default) {
            ("", true) => "(default)".to_owned(),
            (name, true) => format!("{name} (default)"),
            (name, false) => name.to_owned(),
        };
        rows.push(vec![name, target.description.clone()]);
    }
    aligned(&rows, 1)
}
