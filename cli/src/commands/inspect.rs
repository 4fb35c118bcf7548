//! `kiln inspect`.

use serde_json::Value;

use crate::error::CliError;
use crate::flags::images::InspectFlags;
use crate::output::template::Template;
use crate::output::{self, inspect};
use crate::session::Session;

/// Prints what is known of each image: a JSON array, or a line of the template for each.
///
/// As docker does, the images that are there are printed even when another is not.
pub fn perform(flags: &InspectFlags, session: &Session) -> Result<(), CliError> {
    let format =
        flags.format.as_deref().map(str::trim).filter(|format| !format.is_empty() && *format != "json");
    let template = format.map(Template::parse).transpose().map_err(CliError::usage)?;
    let images = session.images()?;
    let mut found = Vec::new();
    let mut failure = None;
    for name in &flags.images {
        match images.inspect(name) {
            Ok(image) => found.push(inspect::image(&image)),
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    let text = match template {
        Some(template) => template_lines(&template, &found)?,
        None if flags.format.as_deref() == Some("json") => format!("{}\n", Value::Array(found)),
        None => inspect::document(&found),
    };
    output::print(&text)?;
    failure.map_or(Ok(()), |error| Err(error.into()))
}

fn template_lines(template: &Template, found: &[Value]) -> Result<String, CliError> {
    let lines = found.iter().map(|image| Ok(template.render(image)? + "\n"));
    lines.collect::<Result<_, String>>().map_err(CliError::usage)
}
