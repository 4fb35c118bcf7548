//! The commands: what the flags mean once store, registries and terminal are known.
//!
//! One file a command. Each takes its flags and the [`Session`], writes its result to standard output, and gives
//! the exit code or the error that `main` tells.

mod build;
mod builders;
mod cache;
mod destination;
mod history;
mod images;
mod inspect;
mod load;
mod login;
mod logout;
mod prune;
mod pull;
mod push;
mod remove;
mod run;
mod save;
mod serve;
mod tag;
mod usage;
mod version;
mod why;

use crate::error::CliError;
use crate::flags::{Command, SystemCommand};
use crate::session::Session;

/// Performs a command and gives its exit code.
pub fn perform(command: Command, session: &Session) -> Result<u8, CliError> {
    let done = match command.ungrouped() {
        Command::Run(flags) => return run::perform(&flags, session),
        Command::Build(flags) => match flags.question() {
            Some(question) => return build::call::perform(question, &flags, session),
            None => build::perform(&flags, session),
        },
        Command::Pull(flags) => pull::perform(&flags, session),
        Command::Push(flags) => push::perform(&flags, session),
        Command::Login(flags) => login::perform(&flags, session),
        Command::Logout(flags) => logout::perform(&flags, session),
        Command::Tag(flags) => tag::perform(&flags, session),
        Command::Images(flags) => images::perform(&flags, session),
        Command::Rmi(flags) => remove::perform(&flags, session),
        Command::Save(flags) => save::perform(&flags, session),
        Command::Load(flags) => load::perform(&flags, session),
        Command::Inspect(flags) => inspect::perform(&flags, session),
        Command::History(flags) => history::perform(&flags, session),
        Command::Prune(flags) => prune::perform(&flags, session),
        Command::Du(flags) => usage::perform(&flags, session),
        Command::Cache(command) => cache::perform(&command, session),
        Command::System(SystemCommand::Df(flags)) => usage::summary(&flags, session),
        Command::Serve(flags) => serve::perform(&flags, session),
        Command::Why(flags) => why::perform(&flags, session),
        Command::Version(flags) => version::perform(&flags),
        Command::Info(flags) => builders::info(&flags, session),
        Command::Builder(command) => builders::perform(&command),
        // `ungrouped` leaves none of these.
        Command::Image(_) | Command::System(_) | Command::Container(_) => Ok(()),
    };
    done.map(|()| 0)
}
