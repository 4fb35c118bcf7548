//! Secrets and SSH agents: `--secret` and `--ssh` become values and sockets.
//!
//! Everything is read before the build begins, so that a missing file is found then, whatever the cache has.

use std::io::Read;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::sync::Arc;

use kiln_builder::{Credentials, Keyring, Secret};

use crate::environment::Environment;
use crate::error::CliError;
use crate::flags::build::BuildFlags;
use crate::flags::credentials::{AgentSpec, SecretSource, SecretSpec};

/// The largest secret: docker's limit, so that what is accepted here is accepted there.
const MAX_SECRET: u64 = 500 * 1024;

/// More than any private key; Docker's limit.
const MAX_KEY: u64 = 100 * 1024;

/// The variable in which the caller's own agent is found.
const AGENT_VARIABLE: &str = "SSH_AUTH_SOCK";

/// Reads what the flags name.
pub fn read(flags: &BuildFlags, environment: &Environment) -> Result<Credentials, CliError> {
    let mut credentials = Credentials::default();
    for spec in &flags.secrets {
        credentials.secrets.insert(spec.id.clone(), Secret::new(value(spec, environment)?));
    }
    for spec in &flags.agents {
        match keys(spec)? {
            Some(keys) => drop(credentials.keyrings.insert(spec.id.clone(), Arc::new(keys))),
            None => drop(credentials.agents.insert(spec.id.clone(), socket(spec, environment)?.into())),
        }
    }
    Ok(credentials)
}

fn value(spec: &SecretSpec, environment: &Environment) -> Result<Vec<u8>, CliError> {
    let bytes = match &spec.source {
        SecretSource::File(path) => file(spec, path)?,
        // A variable that is not set is an empty secret, as in docker.
        SecretSource::Variable(name) => environment.bytes(name).unwrap_or_default().to_owned(),
        SecretSource::Id => match environment.bytes(&spec.id) {
            Some(value) => value.to_owned(),
            None => file(spec, Path::new(&spec.id))?,
        },
    };
    if bytes.len() as u64 > MAX_SECRET {
        return Err(CliError::usage(format!("--secret id={}: it is larger than 500 KiB", spec.id)));
    }
    Ok(bytes)
}

fn file(spec: &SecretSpec, path: &Path) -> Result<Vec<u8>, CliError> {
    let read = || {
        let mut bytes = Vec::new();
        std::fs::File::open(path)?.take(MAX_SECRET + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read().map_err(|error: std::io::Error| {
        CliError::usage_with_hint(
            format!("--secret id={}: cannot read {}: {error}", spec.id, path.display()),
            "name its file with src=FILE, or its variable with env=NAME",
        )
    })
}

/// The keys that are given in place of an agent. A path is that of a key unless it is a socket's.
fn keys(spec: &AgentSpec) -> Result<Option<Keyring>, CliError> {
    let wrong = |message: String, hint: String| {
        CliError::usage_with_hint(format!("--ssh {}: {message}", spec.id), hint)
    };
    let mut files = Vec::with_capacity(spec.paths.len());
    for path in &spec.paths {
        let unreadable = |error: std::io::Error| {
            let hint = "name the socket of an agent or private keys: --ssh ID=PATH";
            wrong(format!("cannot read {}: {error}", path.display()), hint.to_owned())
        };
        if std::fs::metadata(path).map_err(unreadable)?.file_type().is_socket() {
            continue;
        }
        let mut content = Vec::new();
        let file = std::fs::File::open(path).map_err(unreadable)?;
        file.take(MAX_KEY).read_to_end(&mut content).map_err(unreadable)?;
        files.push((path.as_path(), content));
    }
    match (files.len(), spec.paths.len()) {
        (0, 0 | 1) => Ok(None),
        (keys, all) if keys == all => {
            let keyring = Keyring::new(files.iter().map(|(path, content)| (*path, content.as_slice())));
            keyring.map(Some).map_err(|error| wrong(kiln_builder::text::chain(&error), error.hint()))
        }
        _ => Err(wrong(
            "a socket is given together with other paths".to_owned(),
            "give one socket, or private keys alone".to_owned(),
        )),
    }
}

fn socket(spec: &AgentSpec, environment: &Environment) -> Result<String, CliError> {
    let given = spec.paths.first().and_then(|path| path.to_str());
    let own = environment.variable(AGENT_VARIABLE).filter(|path| !path.is_empty());
    let Some(path) = given.or(own) else {
        return Err(CliError::usage_with_hint(
            format!("--ssh {}: SSH_AUTH_SOCK is not set", spec.id),
            "start an agent (`eval $(ssh-agent)`), or name its socket: --ssh ID=SOCKET",
        ));
    };
    let absolute = std::path::absolute(path).ok().and_then(|path| path.into_os_string().into_string().ok());
    absolute.ok_or_else(|| CliError::usage(format!("--ssh {}: `{path}` is not a path", spec.id)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn read_flags(
        secrets: &[&str],
        agents: &[&str],
        variables: &[(&str, &str)],
    ) -> Result<Credentials, CliError> {
        let flags = BuildFlags {
            secrets: secrets.iter().map(|text| SecretSpec::parse(text).unwrap()).collect(),
            agents: agents.iter().map(|text| AgentSpec::parse(text).unwrap()).collect(),
            ..BuildFlags::default()
        };
        read(&flags, &Environment::of(variables, true))
    }

    #[test]
    fn values_come_from_where_the_flags_say() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, "from file\n").unwrap();
        let src = format!("id=f,src={}", path.display());
        let found =
            read_flags(&[&src, "id=e,env=V", "id=I", "id=none,env=UNSET"], &[], &[("V", "v"), ("I", "i")]);
        let secrets = found.unwrap().secrets;
        let value = |text: &str| Secret::new(text.as_bytes().to_vec());
        assert_eq!(secrets["f"], value("from file\n"));
        assert_eq!((&secrets["e"], &secrets["I"], &secrets["none"]), (&value("v"), &value("i"), &value("")));
        assert!(
            read_flags(&["id=x,src=/nowhere/at/all"], &[], &[]).unwrap_err().to_string().contains("/nowhere")
        );
        std::fs::write(&path, vec![0; 500 * 1024 + 1]).unwrap();
        assert!(read_flags(&[&src], &[], &[]).unwrap_err().to_string().contains("500"));
    }

    #[test]
    fn agents_are_the_callers_own_or_named() {
        let dir = tempfile::tempdir().unwrap();
        let socket = socket_node(dir.path());
        let given = format!("x={}", socket.display());
        let found = read_flags(&[], &["default", &given], &[("SSH_AUTH_SOCK", "/agent")]).unwrap().agents;
        assert_eq!((found["default"].to_str(), found["x"].as_path()), (Some("/agent"), socket.as_path()));
        assert!(read_flags(&[], &["default"], &[]).unwrap_err().to_string().contains("SSH_AUTH_SOCK"));
    }

    /// Something that is a socket, though nobody listens on it.
    fn socket_node(dir: &Path) -> std::path::PathBuf {
        let path = dir.join("socket");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Socket, mode, 0).unwrap();
        path
    }

    #[test]
    fn keys_are_files_and_not_given_together_with_a_socket() {
        let dir = tempfile::tempdir().unwrap();
        let socket = socket_node(dir.path()).display().to_string();
        let text = dir.path().join("text");
        std::fs::write(&text, "hello").unwrap();
        for (paths, word) in [
            ("/nowhere/at/all".to_owned(), "/nowhere/at/all"),
            (text.display().to_string(), "is not a private key"),
            (format!("{},{socket}", text.display()), "together with other paths"),
            (format!("{socket},{socket}"), "together with other paths"),
        ] {
            let error = read_flags(&[], &[&format!("x={paths}")], &[]).unwrap_err().to_string();
            assert!(error.contains("--ssh x: ") && error.contains(word), "{paths}: {error}");
        }
    }
}
