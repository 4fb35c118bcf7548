//! Credential helpers: programs `docker-credential-NAME` that keep logins outside the configuration file.
//!
//! The protocol is that of docker's credential helpers: the verb as argument, the server on standard
//! input, JSON on standard output. Used by [`super::config`] only.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde::Deserialize;

use super::{AuthError, Credential};

/// What a helper prints when it has no login for a server.
const NOT_FOUND: &str = "credentials not found in native keychain";
/// The user name that says that the secret is an identity token.
const TOKEN_USER: &str = "<token>";

/// Asks the helper `name` for the login of `server`; nothing if it has none.
pub(super) fn get(name: &str, server: &str) -> Result<Option<Credential>, AuthError> {
    let program = format!("docker-credential-{name}");
    if name.contains('/') {
        return Err(AuthError::Helper { program, message: "its name has a slash".into() });
    }
    ask(&program, server)
}

/// Runs the helper.
fn ask(program: &str, server: &str) -> Result<Option<Credential>, AuthError> {
    let start = |source| AuthError::HelperStart { program: program.to_owned(), source };
    let mut child = Command::new(program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(start)?;
    if let Some(mut input) = child.stdin.take() {
        match input.write_all(server.as_bytes()) {
            // A helper that does not read still says by its answer what it makes of the question.
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => return Err(start(error)),
            _ => {}
        }
    }
    let output = child.wait_with_output().map_err(start)?;
    read(program, output.status.success(), &output.stdout)
}

fn read(program: &str, success: bool, stdout: &[u8]) -> Result<Option<Credential>, AuthError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Answer {
        #[serde(default)]
        username: String,
        #[serde(default)]
        secret: String,
    }
    let failed =
        |message: &str| AuthError::Helper { program: program.to_owned(), message: message.to_owned() };
    if !success {
        let text = String::from_utf8_lossy(stdout);
        return match text.trim() {
            NOT_FOUND => Ok(None),
            "" => Err(failed("it gave no reason")),
            text => Err(failed(text)),
        };
    }
    // The answer holds a secret: the parser's message, which may quote it, is not shown.
    let answer: Answer =
        serde_json::from_slice(stdout).map_err(|_| failed("its answer is not understood"))?;
    if answer.username.is_empty() && answer.secret.is_empty() {
        return Ok(None);
    }
    if answer.username == TOKEN_USER {
        return Ok(Some(Credential::Identity { token: answer.secret }));
    }
    Ok(Some(Credential::Basic { username: answer.username, password: answer.secret }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn runs_the_helper() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let helper = dir.path().join("docker-credential-test");
        let script = "#!/bin/sh\nread -r server\necho \"{\\\"Username\\\":\\\"$1\\\",\\\"Secret\\\":\\\"$server\\\"}\"\n";
        std::fs::write(&helper, script).unwrap();
        std::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o755)).unwrap();
        let found = ask(&helper.display().to_string(), "r.example").unwrap();
        assert_eq!(found, Some(Credential::Basic { username: "get".into(), password: "r.example".into() }));
    }

    #[test]
    fn reads_answers() {
        let basic = read("p", true, br#"{"ServerURL":"r","Username":"me","Secret":"pw"}"#).unwrap();
        assert_eq!(basic, Some(Credential::Basic { username: "me".into(), password: "pw".into() }));
        let identity = read("p", true, br#"{"Username":"<token>","Secret":"i"}"#).unwrap();
        assert_eq!(identity, Some(Credential::Identity { token: "i".into() }));
        assert_eq!(read("p", false, b"credentials not found in native keychain\n").unwrap(), None);
        assert!(read("p", false, b"locked").unwrap_err().to_string().ends_with("`p` failed: locked"));
        let damaged = read("p", true, b"secret").unwrap_err();
        assert!(!damaged.to_string().contains("secret"));
    }
}
