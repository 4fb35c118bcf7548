//! The kiln binary: command line in, exit code out.
//!
//! Flags are read ([`flags`]), the surroundings are looked at once ([`environment`]), a command is performed
//! ([`commands`]), and whatever ends it early is told here ([`error`]). Everything that kiln does is in the other
//! crates; everything that it says is in this one.

mod commands;
mod environment;
mod error;
mod flags;
mod output;
mod session;
mod terminal;
mod work;

use std::process::ExitCode;

use environment::Environment;
use error::CliError;
use flags::{Cli, Command, Stop};
use session::Session;

fn main() -> ExitCode {
    // First: the same binary is started again as the sandbox's supervisor and init.
    kiln_sandbox::run_child_if_asked();
    terminal::restore_on_panic();
    let (result, run) = match flags::parse(&environment::arguments()) {
        Ok(cli) => perform(cli),
        Err(Stop::Show(text)) => (output::print(&text).map(|()| 0), false),
        Err(Stop::Usage { message, hint, run }) => (Err(CliError::Usage { message, hint }), run),
    };
    ExitCode::from(result.unwrap_or_else(|error| tell(&error, run)))
}

/// Performs the command; also says whether it was `run`, whose exit codes are mostly its process's.
fn perform(cli: Cli) -> (Result<u8, CliError>, bool) {
    let run = matches!(cli.command, Command::Run(_));
    let session = Session::new(Environment::read(), cli.global);
    let result = commands::perform(cli.command, &session);
    if !matches!(result, Err(CliError::Interrupted { .. }))
        && let Err(error) = session.settle()
    {
        // What was asked for is done: a store that is too large is worth a word, and no failure.
        let text = CliError::from(error).report().map(|report| report.to_text()).unwrap_or_default();
        output::remark(&format!("warning: no room could be made in the store\n{}", text.trim_end()));
    }
    (result, run)
}

/// Tells what went wrong, if there is anything to tell, and gives the exit code.
fn tell(error: &CliError, run: bool) -> u8 {
    if let Some(report) = error.report() {
        output::remark(report.to_text().trim_end());
    }
    if run { error.code_of_run() } else { error.code() }
}
