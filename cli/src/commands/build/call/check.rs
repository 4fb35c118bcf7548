//! `--check` and `--call=check`: what the rules find, and the exit code.

use kiln_builder::PatientBases;
use kiln_graph::answer::check::{Shown, find, to_answer, to_text};
use kiln_graph::answer::location::Places;
use tokio::runtime::Handle;

use super::{Call, print_json};
use crate::error::CliError;
use crate::flags::call::AnswerFormat;
use crate::output;
use crate::output::progress::View;
use crate::work::with_progress;

/// Checks the file; the exit code is 1 when something was found.
pub fn answer(call: &Call<'_>) -> Result<u8, CliError> {
    let builder = call.session.builder().map_err(|error| error.to_string());
    let (text, options, parsed) = (call.source.text.clone(), call.options.clone(), call.parse());
    let checks = call.checks().map(str::to_owned);
    let work = |progress| async move {
        let bases = PatientBases::new(builder, progress, Handle::current());
        let find = move || find(&text, parsed, checks.as_deref(), &options, &bases);
        tokio::task::spawn_blocking(find).await.map_err(|error| CliError::System {
            action: "read the Dockerfile's meaning",
            source: std::io::Error::other(error),
        })
    };
    let ((found, dockerfile), _) = with_progress(View::Quiet, None, work)?;
    match call.format {
        AnswerFormat::Json => {
            let places = Places::new(&call.source.text, &dockerfile);
            print_json(&to_answer(&call.source.name, &found, &places))?;
        }
        AnswerFormat::Text => {
            let color = call.session.colors_stdout();
            let shown = Shown { name: &call.source.name, text: &call.source.text, color };
            output::print(&to_text(shown, &found))?;
        }
    }
    if !found.mistakes.is_empty() {
        return Err(call.mistakes(&found.mistakes));
    }
    if let Some(message) = found.forbidden() {
        output::remark(&format!("error: {message}"));
    }
    let ignore = call.flags.call.is_some_and(|spec| spec.ignore_status);
    Ok(u8::from(!found.violations.is_empty() && !ignore))
}
