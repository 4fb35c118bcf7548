//! `kiln version`.

use serde_json::{Value, json};

use crate::error::CliError;
use crate::flags::images::VersionFlags;
use crate::output;
use crate::output::template::Template;
use crate::session::host_platform;

/// Prints the version, the platform, and the system's release.
pub fn perform(flags: &VersionFlags) -> Result<(), CliError> {
    let version = version();
    match flags.format.as_deref() {
        None => output::print(&to_text(&version)),
        Some("json") => output::print_line(&version.to_string()),
        Some(text) => {
            let template = Template::parse(text).map_err(CliError::usage)?;
            output::print_line(&template.render(&version).map_err(CliError::usage)?)
        }
    }
}

fn version() -> Value {
    let system = rustix::system::uname();
    // Docker's templates name the version under both roles; kiln is both.
    let own = json!({
        "Version": env!("CARGO_PKG_VERSION"),
        "Platform": host_platform(),
        "Kernel": system.release().to_string_lossy(),
    });
    let mut version = own.clone();
    if let Value::Object(fields) = &mut version {
        fields.insert("Client".to_owned(), own.clone());
        fields.insert("Server".to_owned(), own);
    }
    version
}

fn to_text(version: &Value) -> String {
    let field = |name: &str| version.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    format!(
        "kiln version {}\n Platform: {}\n Kernel:   {}\n",
        field("Version"),
        field("Platform"),
        field("Kernel")
    )
}
