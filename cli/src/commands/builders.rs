//! `kiln buildx create|use|rm|ls|inspect|version` and `kiln info`: what there is to say of the only builder.
//!
//! Docker's commands that choose among builders end well and say in one line that there is nothing to choose.

use serde_json::{Value, json};

use crate::error::CliError;
use crate::flags::BuilderCommand;
use crate::flags::builders::InfoFlags;
use crate::output::{self, table, template::Template};
use crate::session::{Session, cores, host_platform};

/// What the only builder is called.
const NAME: &str = "default";

/// What is said where another one is asked for.
const ONE: &str = "kiln has one builder and uses it under every name";

/// kiln's version.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Answers a command on builders.
pub fn perform(command: &BuilderCommand) -> Result<(), CliError> {
    match command {
        BuilderCommand::Create(flags) => {
            output::remark(&format!("{ONE}: none was made"));
            output::print_line(flags.name.as_deref().unwrap_or(NAME))
        }
        BuilderCommand::Use(_) => {
            output::remark(ONE);
            Ok(())
        }
        BuilderCommand::Rm(_) => {
            output::remark(&format!("{ONE}: none was removed"));
            Ok(())
        }
        BuilderCommand::Ls => output::print(&list()),
        BuilderCommand::Inspect(_) => output::print(&details()),
        BuilderCommand::Version => output::print_line(&format!("kiln {VERSION}")),
        // `ungrouped` leaves none of these.
        BuilderCommand::Build(_) | BuilderCommand::Du(_) | BuilderCommand::Prune(_) => Ok(()),
    }
}

fn list() -> String {
    let row = |cells: [&str; 5]| cells.map(str::to_owned).to_vec();
    table::to_text(&[
        row(["NAME/NODE", "DRIVER/ENDPOINT", "STATUS", "BUILDKIT", "PLATFORMS"]),
        row([&format!("{NAME}*"), "kiln", "running", &format!("kiln {VERSION}"), &host_platform()]),
    ])
}

fn details() -> String {
    format!(
        "Name:   {NAME}\nDriver: kiln\n\nNodes:\nName:      {NAME}\nStatus:    running\nVersion:   kiln {VERSION}\n\
         Platforms: {}\n",
        host_platform()
    )
}

/// `kiln info`: this machine and the store.
pub fn info(flags: &InfoFlags, session: &Session) -> Result<(), CliError> {
    let images = session.images()?.list()?.len();
    let root = session.environment.store_root(&session.flags).unwrap_or_default();
    let system = rustix::system::uname();
    let text = |part: &std::ffi::CStr| part.to_string_lossy().into_owned();
    let info = json!({
        "ServerVersion": VERSION,
        "DockerRootDir": root.display().to_string(),
        "Images": images,
        "OSType": std::env::consts::OS,
        "Architecture": text(system.machine()),
        "KernelVersion": text(system.release()),
        "Name": text(system.nodename()),
        "NCPU": cores(),
    });
    match flags.format.as_deref() {
        None => output::print(&to_text(&info)),
        Some("json") => output::print_line(&info.to_string()),
        Some(text) => {
            let template = Template::parse(text).map_err(CliError::usage)?;
            output::print_line(&template.render(&info).map_err(CliError::usage)?)
        }
    }
}

fn to_text(info: &Value) -> String {
    let lines = [
        ("Version", "ServerVersion"),
        ("Store", "DockerRootDir"),
        ("Images", "Images"),
        ("OSType", "OSType"),
        ("Architecture", "Architecture"),
        ("Kernel Version", "KernelVersion"),
        ("Name", "Name"),
        ("CPUs", "NCPU"),
    ];
    let value = |key: &str| match info.get(key) {
        Some(Value::String(text)) => text.clone(),
        other => other.map(ToString::to_string).unwrap_or_default(),
    };
    lines.map(|(label, key)| format!(" {label}: {}\n", value(key))).concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_only_builder_is_the_current_one() {
        let rows = list();
        let mut lines = rows.lines();
        assert!(lines.next().is_some_and(|line| line.starts_with("NAME/NODE")));
        assert!(
            lines.next().is_some_and(|line| line.starts_with("default*") && line.ends_with(&host_platform()))
        );
        assert!(details().contains("Status:    running\n"));
    }

    #[test]
    fn info_has_a_line_for_each_value() {
        let text = to_text(&json!({ "ServerVersion": "1", "Images": 3, "NCPU": 2 }));
        assert!(text.starts_with(" Version: 1\n") && text.contains(" Images: 3\n"), "{text}");
    }
}
