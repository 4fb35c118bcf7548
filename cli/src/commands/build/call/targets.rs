//! `--call=targets`: the stages that can be built.

use kiln_graph::answer::targets::Targets;

use super::{Call, print_json};
use crate::error::CliError;
use crate::flags::call::AnswerFormat;
use crate::output;

/// Lists the targets.
pub fn answer(call: &Call<'_>) -> Result<(), CliError> {
    let dockerfile = call.parsed()?.dockerfile;
    let answer = Targets::new(&call.source.text, &dockerfile);
    match call.format {
        AnswerFormat::Json => print_json(&answer),
        AnswerFormat::Text => output::print(&answer.to_text()),
    }
}
