//! Credential helpers: programs `docker-credential-NAME` that keep logins outside the configuration file.
//!
//! The protocol is that of docker's credential helpers: the verb as argument, the server on standard
//! input (for `store` the login as JSON), JSON on standard output. Used by [`super::config`] and [`super::store`].

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
    let program = program(name)?;
    let (success, stdout) = run(&program, "get", server)?;
    read(&program, success, &stdout)
}

/// Gives the helper `name` the login of `server` to keep.
pub(super) fn store(name: &str, server: &str, username: &str, secret: &str) -> Result<(), AuthError> {
    let program = program(name)?;
    let login = serde_json::json!({ "ServerURL": server, "Username": username, "Secret": secret });
    done(&program, run(&program, "store", &login.to_string())?)
}

/// Has the helper `name` forget the login of `server`.
pub(super) fn erase(name: &str, server: &str) -> Result<(), AuthError> {
    let program = program(name)?;
    done(&program, run(&program, "erase", server)?)
}

fn program(name: &str) -> Result<String, AuthError> {
    let program = format!("docker-credential-{name}");
    if name.contains('/') {
        return Err(AuthError::Helper { program, message: "its name has a slash".into() });
    }
    Ok(program)
}

/// Runs the helper; gives whether it succeeded, and what it said.
fn run(program: &str, verb: &str, input: &str) -> Result<(bool, Vec<u8>), AuthError> {
    let start = |source| AuthError::HelperStart { program: program.to_owned(), source };
    let mut child = Command::new(program)
        .arg(verb)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(start)?;
    if let Some(mut stdin) = child.stdin.take() {
        match stdin.write_all(input.as_bytes()) {
            // A helper that does not read still says by its answer what it makes of the question.
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => return Err(start(error)),
            _ => {}
        }
    }
    let output = child.wait_with_output().map_err(start)?;
    Ok((output.status.success(), output.stdout))
}

/// The end of a verb that is answered by success alone.
fn done(program: &str, (success, stdout): (bool, Vec<u8>)) -> Result<(), AuthError> {
    if success { Ok(()) } else { Err(failed(program, &stdout)) }
}

/// What a helper said that failed.
fn failed(program: &str, stdout: &[u8]) -> AuthError {
    let text = String::from_utf8_lossy(stdout);
    let message = if text.trim().is_empty() { "it gave no reason" } else { text.trim() };
    AuthError::Helper { program: program.to_owned(), message: message.to_owned() }
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
    if !success {
        let is_unknown = stdout.trim_ascii() == NOT_FOUND.as_bytes();
        return if is_unknown { Ok(None) } else { Err(failed(program, stdout)) };
    }
    // The answer holds a secret: the parser's message, which may quote it, is not shown.
    let answer: Answer =
        serde_json::from_slice(stdout).map_err(|_| failed(program, b"its answer is not understood"))?;
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
        let program = helper.display().to_string();
        let (success, stdout) = run(&program, "get", "r.example").unwrap();
        let found = read(&program, success, &stdout).unwrap();
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
        assert!(done("p", (true, b"whatever".to_vec())).is_ok());
        let text = done("p", (false, Vec::new())).unwrap_err().to_string();
        assert!(text.ends_with("`p` failed: it gave no reason"), "{text}");
        let damaged = read("p", true, b"secret").unwrap_err();
        assert!(!damaged.to_string().contains("secret"));
    }
}
