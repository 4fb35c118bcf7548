//! The flags of `kiln run` as a request.

use std::path::{Path, PathBuf};

use kiln_builder::{RunRequest, Volume};
use kiln_cache::ImageRecord;
use kiln_graph::op::{Network, Ulimit};
use kiln_sandbox::WindowSize;

use crate::environment::Environment;
use crate::error::CliError;
use crate::flags::run::RunFlags;
use crate::terminal;

/// What the flags say, all but the image and its command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunOptions {
    entrypoint: Option<Vec<String>>,
    env: Vec<(String, String)>,
    workdir: Option<String>,
    user: Option<String>,
    volumes: Vec<Volume>,
    network: Network,
    limits: Vec<Ulimit>,
    shared_memory: Option<u64>,
    terminal: bool,
    interactive: bool,
}

/// Reads the flags. Files of variables are read, and missing host directories of volumes made, as docker does.
pub fn read(flags: &RunFlags, environment: &Environment) -> Result<RunOptions, CliError> {
    let mut env = Vec::new();
    for path in &flags.env_files {
        let text = std::fs::read_to_string(path).map_err(CliError::file("read", path))?;
        env.extend(env_file(&text, path, environment)?);
    }
    for text in &flags.env {
        env.extend(variable(text, environment)?);
    }
    let volumes = flags.volumes.iter().filter_map(|text| volume(text, environment).transpose());
    Ok(RunOptions {
        entrypoint: flags.entrypoint.as_ref().map(|command| match command.as_str() {
            "" => Vec::new(),
            command => vec![command.to_owned()],
        }),
        env,
        workdir: flags.workdir.clone(),
        user: flags.user.clone(),
        volumes: volumes.collect::<Result<_, _>>()?,
        network: network(flags.network.as_deref())?,
        limits: flags.limits.ulimits(),
        shared_memory: flags.limits.shared_memory(),
        terminal: flags.tty,
        interactive: flags.interactive,
    })
}

impl RunOptions {
    /// The request for an image, without a command of its own.
    pub fn into_request(self, image: ImageRecord) -> RunRequest {
        // Some terminals do not tell their size.
        let known = terminal::size().filter(|size| size.ws_row > 0 && size.ws_col > 0);
        let window = known.map(|size| WindowSize { rows: size.ws_row, columns: size.ws_col });
        RunRequest {
            image,
            command: Vec::new(),
            entrypoint: self.entrypoint,
            env: self.env,
            workdir: self.workdir,
            user: self.user,
            volumes: self.volumes,
            network: self.network,
            limits: self.limits,
            shared_memory: self.shared_memory,
            hostname: None,
            terminal: self.terminal,
            window: window.unwrap_or_default(),
            interactive: self.interactive,
        }
    }
}

/// `NAME=VALUE`, or `NAME` for the environment's value; a variable that is not set is left out.
fn variable(text: &str, environment: &Environment) -> Result<Option<(String, String)>, CliError> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (text, environment.variable(text)),
    };
    if name.is_empty() {
        return Err(CliError::usage(format!("the variable `{text}` has no name")));
    }
    Ok(value.map(|value| (name.to_owned(), value.to_owned())))
}

/// A file of variables: one a line, `#` begins a comment line; nothing is unquoted.
fn env_file(text: &str, path: &Path, environment: &Environment) -> Result<Vec<(String, String)>, CliError> {
    let mut variables = Vec::new();
    for line in text.strip_prefix('\u{feff}').unwrap_or(text).lines().map(str::trim_start) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let name = line.split('=').next().unwrap_or(line);
        if name.contains(char::is_whitespace) {
            let message = format!("{}: the variable name `{name}` has white space in it", path.display());
            return Err(CliError::usage(message));
        }
        variables.extend(variable(line, environment)?);
    }
    Ok(variables)
}

/// `SOURCE:TARGET[:OPTIONS]`. A target alone is a directory that goes with the container, which every one does here.
fn volume(text: &str, environment: &Environment) -> Result<Option<Volume>, CliError> {
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, options) = match parts[..] {
        [target] if target.starts_with('/') => return Ok(None),
        [source, target] => (source, target, ""),
        [source, target, options] => (source, target, options),
        _ => return Err(CliError::usage(format!("the volume `{text}` is not SOURCE:TARGET[:ro]"))),
    };
    if !target.starts_with('/') {
        return Err(CliError::usage(format!("the volume `{text}`: the target must be an absolute path")));
    }
    Ok(Some(Volume {
        source: host_path(source, text, environment)?,
        target: target.to_owned(),
        read_only: read_only(options, text)?,
    }))
}

fn read_only(options: &str, text: &str) -> Result<bool, CliError> {
    let mut read_only = false;
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option {
            "ro" => read_only = true,
            // Labels are of no consequence where SELinux is not used; the others are how mounts are made anyway.
            "rw" | "z" | "Z" | "rprivate" | "private" | "cached" | "delegated" | "consistent" => {}
            other => {
                return Err(CliError::usage(format!(
                    "the volume `{text}`: option `{other}` is not supported yet"
                )));
            }
        }
    }
    Ok(read_only)
}

/// The host's path, absolute; made if it does not exist, as docker does.
fn host_path(source: &str, text: &str, environment: &Environment) -> Result<PathBuf, CliError> {
    let path = match source.strip_prefix("~/") {
        // A shell leaves `~` alone after `-v` without a space in front of it.
        Some(rest) => PathBuf::from(environment.variable("HOME").unwrap_or("/")).join(rest),
        None => PathBuf::from(source),
    };
    if !path.is_absolute() && !source.starts_with('.') {
        return Err(CliError::usage_with_hint(
            format!("the volume `{text}`: named volumes are not supported yet"),
            "write a path: /DIR or ./DIR",
        ));
    }
    if !path.exists() {
        std::fs::create_dir_all(&path).map_err(CliError::file("make the volume's directory", &path))?;
    }
    std::fs::canonicalize(&path).map_err(CliError::file("use the volume's directory", &path))
}

fn network(mode: Option<&str>) -> Result<Network, CliError> {
    match mode {
        None | Some("" | "default" | "host") => Ok(Network::Host),
        Some("none") => Ok(Network::None),
        Some(other) => {
            let message = format!("--network={other} is not supported yet");
            Err(CliError::usage_with_hint(message, "it may be host (the default) or none"))
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn read_flags(flags: &RunFlags) -> Result<RunOptions, CliError> {
        read(flags, &Environment::of(&[("HOME", "/h"), ("SET", "value")], true))
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn variables_come_from_files_flags_and_the_environment_in_that_order() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("env");
        std::fs::write(&file, "# comment\n\nA=1 # kept\n SET\nUNSET\nQ=\"x\"\n").unwrap();
        let flags =
            RunFlags { env_files: vec![file], env: vec!["A=2".into(), "SET".into()], ..RunFlags::default() };
        let env = read_flags(&flags).unwrap().env;
        let expected = [
            pair("A", "1 # kept"),
            pair("SET", "value"),
            pair("Q", "\"x\""),
            pair("A", "2"),
            pair("SET", "value"),
        ];
        assert_eq!(env, expected);
        let flags = RunFlags { env: vec!["=x".into()], ..RunFlags::default() };
        assert!(read_flags(&flags).is_err());
    }

    #[test]
    fn volumes_are_paths() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("made");
        let text = format!("{}:/t:ro,z", missing.display());
        let flags = RunFlags { volumes: vec![text, "/anonymous".into()], ..RunFlags::default() };
        let volumes = read_flags(&flags).unwrap().volumes;
        let source = std::fs::canonicalize(&missing).unwrap();
        assert_eq!(volumes, [Volume { source, target: "/t".into(), read_only: true }]);
        for (wrong, says) in [
            ("name:/t", "named volumes"),
            ("/tmp:t", "absolute"),
            ("/tmp:/t:shared", "`shared`"),
            ("a:b:c:d", "SOURCE:TARGET"),
            ("", "SOURCE:TARGET"),
        ] {
            let flags = RunFlags { volumes: vec![wrong.into()], ..RunFlags::default() };
            let error = read_flags(&flags).unwrap_err().to_string();
            assert!(error.contains(says), "{wrong}: {error}");
        }
    }

    #[test]
    fn an_empty_entrypoint_is_none_at_all() {
        let entrypoint = |text: Option<&str>| {
            read_flags(&RunFlags { entrypoint: text.map(str::to_owned), ..RunFlags::default() })
                .unwrap()
                .entrypoint
        };
        assert_eq!(entrypoint(None), None);
        assert_eq!(entrypoint(Some("")), Some(vec![]));
        assert_eq!(entrypoint(Some("sh -c")), Some(vec!["sh -c".to_owned()]));
    }

    #[test]
    fn networks() {
        let network =
            |mode: &str| read_flags(&RunFlags { network: Some(mode.into()), ..RunFlags::default() });
        assert_eq!(network("none").unwrap().network, Network::None);
        assert_eq!(network("host").unwrap().network, Network::Host);
        assert!(network("bridge").unwrap_err().to_string().contains("bridge"));
    }
}
