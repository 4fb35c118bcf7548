//! The user and the password of a login: from the command line, from standard input, or from whoever is at the
//! terminal.

use std::io::Read as _;

use crate::error::CliError;
use crate::flags::login::LoginFlags;
use crate::output;
use crate::terminal::{self, Silence};
use crate::work::until_answered;

/// The most of a standard input that is taken for a password: more is no password but a mistake.
const LONGEST: u64 = 64 << 10;

/// User and password for `host`; what the flags do not say is asked for.
pub fn for_login(flags: &LoginFlags, host: &str) -> Result<(String, String), CliError> {
    if flags.password_stdin {
        let Some(username) = flags.username.as_deref() else {
            return Err(CliError::usage_with_hint(
                "--password-stdin needs the user name too",
                "write -u USER --password-stdin",
            ));
        };
        // Before the input, which may have no end.
        let username = user(username)?;
        return Ok((username, from_standard_input()?));
    }
    if (flags.username.is_none() || flags.password.is_none()) && !terminal::stdin_is_terminal() {
        return Err(CliError::usage_with_hint(
            "user and password cannot be asked for: standard input is not a terminal",
            format!("pipe the password in: echo \"$TOKEN\" | kiln login -u USER --password-stdin {host}"),
        ));
    }
    let username = match flags.username.as_deref() {
        Some(username) => user(username)?,
        None => user(at_terminal("Username: ")?.trim())?,
    };
    let password = match &flags.password {
        Some(password) => password.clone(),
        None => silently("Password: ")?,
    };
    Ok((username, secret(password, "")?))
}

fn user(name: &str) -> Result<String, CliError> {
    match name {
        "" => Err(CliError::usage_with_hint(
            "the user name is empty",
            "if a variable holds it: is that one set?",
        )),
        name if name.contains(':') => Err(CliError::usage(format!("`{name}` is no user name: it has a `:`"))),
        name => Ok(name.to_owned()),
    }
}

fn secret(password: String, place: &str) -> Result<String, CliError> {
    if password.is_empty() {
        return Err(CliError::usage_with_hint(
            format!("the password{place} is empty"),
            "if a variable holds it: is that one set?",
        ));
    }
    Ok(password)
}

/// All of standard input but its last end of line.
fn from_standard_input() -> Result<String, CliError> {
    let text = until_answered(|| {
        let mut text = Vec::new();
        std::io::stdin().lock().take(LONGEST + 1).read_to_end(&mut text).map_err(unread)?;
        Ok(text)
    })?;
    if text.len() as u64 > LONGEST {
        return Err(CliError::usage(format!(
            "standard input is no password: it has more than {LONGEST} bytes"
        )));
    }
    let text = String::from_utf8(text)
        .map_err(|_| CliError::usage("the password on standard input is no text in UTF-8"))?;
    secret(without_line_end(&text).to_owned(), " on standard input")
}

/// The text without one line end.
fn without_line_end(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}

/// A line that is typed and not shown.
fn silently(question: &'static str) -> Result<String, CliError> {
    let silence = Silence::enter().map_err(CliError::system("stop the terminal's echo"))?;
    let answer = at_terminal(question);
    drop(silence);
    // The line end that was typed was not shown either.
    output::remark("");
    answer
}

/// A line that is typed at the terminal, without its end.
fn at_terminal(question: &'static str) -> Result<String, CliError> {
    until_answered(move || {
        // Not before signals are watched: whoever answers with Ctrl-C gets the terminal back as it was.
        output::lines(question.as_bytes());
        let mut line = String::new();
        match std::io::stdin().read_line(&mut line).map_err(unread)? {
            0 => Err(CliError::usage("nothing was typed")),
            _ => Ok(without_line_end(&line).to_owned()),
        }
    })
}

fn unread(source: std::io::Error) -> CliError {
    CliError::system("read standard input")(source)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn one_line_end_is_none_of_the_password() {
        for (text, password) in
            [("a", "a"), ("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), (" a b \n", " a b "), ("\n", "")]
        {
            assert_eq!(without_line_end(text), password, "{text:?}");
        }
    }

    #[test]
    fn nobody_is_asked_for_what_was_said() {
        let flags = |username: &str, password: &str| LoginFlags {
            username: Some(username.to_owned()),
            password: Some(password.to_owned()),
            password_stdin: false,
            server: None,
        };
        assert_eq!(for_login(&flags("me", "p:w"), "r").unwrap(), ("me".to_owned(), "p:w".to_owned()));
        for (username, password) in [("", "pw"), ("me", ""), ("me:pw", "pw")] {
            assert_eq!(for_login(&flags(username, password), "r").unwrap_err().code(), 2, "{username}");
        }
        assert!(!format!("{:?}", flags("me", "secret")).contains("secret"));
    }
}
