//! `--call=outline`: what the target can be given.

use kiln_graph::answer::outline::Answer;

use super::{Call, print_json};
use crate::error::CliError;
use crate::flags::call::AnswerFormat;
use crate::output;

/// Lists the parameters.
pub fn answer(call: &Call<'_>) -> Result<(), CliError> {
    let dockerfile = call.parsed()?.dockerfile;
    let answer = Answer::new(&call.source.text, &dockerfile, &call.options);
    let answer = answer.map_err(|mistake| call.mistakes(&[*mistake]))?;
    match call.format {
        AnswerFormat::Json => print_json(&answer),
        AnswerFormat::Text => output::print(&answer.to_text()),
    }
}
