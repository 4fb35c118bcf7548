//! `kiln login`.
//!
//! A login is shown to the registry first and kept only if it is accepted. What was not said on the command line is
//! asked for ([`ask`]). Where logins are kept is docker's business: `kiln-registry` reads and writes its file.

mod ask;

use std::path::PathBuf;

use kiln_registry::{AuthError, DEFAULT_REGISTRY, Keeper, Login, StoredLogins, registry_of};

use crate::error::{CliError, LoginError, LoginFailure};
use crate::flags::build::ProgressKind;
use crate::flags::login::LoginFlags;
use crate::output;
use crate::session::Session;
use crate::work::with_progress;

/// Logs in, and says so in docker's words.
pub fn perform(flags: &LoginFlags, session: &Session) -> Result<(), CliError> {
    let registry = registry(flags.server.as_deref())?;
    let logins = StoredLogins::at(&configuration(session)?);
    let in_file = |source: AuthError| failed("log in to", registry, source);
    if flags.password.is_some() {
        output::remark("WARNING! Others can see a password on the command line. Use --password-stdin.");
    }
    // A file that cannot be used is told before anybody is asked for anything.
    logins.check().map_err(in_file)?;
    if flags.says_nothing()
        && let Some(known) = known(&logins, registry).map_err(in_file)?
        && is_still_good(registry, known, session)?
    {
        return output::print_line("Login Succeeded");
    }
    let (username, password) = ask::for_login(flags, StoredLogins::key(registry))?;
    let login = Login::Basic { username: username.clone(), password: password.clone() };
    verify(registry, login, session)?;
    if let Keeper::File(path) = logins.store(registry, &username, &password).map_err(in_file)? {
        output::remark(&format!(
            "WARNING! Your password is stored unencrypted in {}.\n\
             A credential helper, named there as credsStore, would keep it elsewhere.",
            path.display()
        ));
    }
    output::print_line("Login Succeeded")
}

/// The registry that a command line means.
pub fn registry(server: Option<&str>) -> Result<&str, CliError> {
    let Some(server) = server else { return Ok(DEFAULT_REGISTRY) };
    registry_of(server).ok_or_else(|| {
        CliError::usage_with_hint(
            format!("`{server}` is not the host of a registry"),
            "write HOST or HOST:PORT, such as registry.example.com",
        )
    })
}

/// Where docker's configuration file is, or will be.
pub fn configuration(session: &Session) -> Result<PathBuf, CliError> {
    session.environment.docker_config(&session.flags).ok_or_else(|| {
        CliError::usage_with_hint(
            "there is no place for logins: HOME is not set",
            "set --config or DOCKER_CONFIG",
        )
    })
}

/// A failure of what keeps the logins.
pub fn failed(action: &'static str, registry: &str, source: AuthError) -> CliError {
    let host = StoredLogins::key(registry).to_owned();
    LoginError { action, host, source: LoginFailure::Login(source) }.into()
}

/// The login that is stored.
fn known(logins: &StoredLogins, registry: &str) -> Result<Option<Login>, AuthError> {
    match logins.find(registry) {
        // It is about to be replaced.
        Err(AuthError::ConfigEntry { .. }) => Ok(None),
        found => found,
    }
}

/// Whether the registry accepts the login that is stored; that it does not is said.
fn is_still_good(registry: &str, known: Login, session: &Session) -> Result<bool, CliError> {
    let whose = match &known {
        Login::Basic { username, .. } => format!(" of {username}"),
        Login::Identity { .. } => String::new(),
    };
    output::remark(&format!("Trying the stored login{whose}"));
    match verify(registry, known, session) {
        Ok(()) => Ok(true),
        Err(CliError::Login(error)) if error.is_refused() => {
            output::remark(&format!("The stored login for {} was refused", error.host));
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

fn verify(registry: &str, login: Login, session: &Session) -> Result<(), CliError> {
    let client = session.client()?;
    let ask = |_| async {
        let answer = client.verify_login(registry, login).await;
        answer.map_err(|error| LoginError::verifying(StoredLogins::key(registry), error))
    };
    with_progress(session.view(ProgressKind::Quiet), None, ask).map(|_| ())
}
