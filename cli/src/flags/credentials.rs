//! `--secret` and `--ssh` of a build: what was written, before any file or variable is looked at.
//!
//! The forms are docker's. What they stand for is found out in `crate::commands::build`.

use std::path::PathBuf;

use super::output::split_csv;

/// One `--secret`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretSpec {
    /// Its id.
    pub id: String,
    /// Where its value is.
    pub source: SecretSource,
}

/// Where a secret's value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// In this file.
    File(PathBuf),
    /// In this variable.
    Variable(String),
    /// In the variable named like the secret, or, if there is none, in the file named so.
    Id,
}

/// One `--ssh`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentSpec {
    /// Its id.
    pub id: String,
    /// The agent's socket; `None` is the caller's own agent.
    pub socket: Option<PathBuf>,
}

impl SecretSpec {
    /// Reads `id=ID[,src=FILE|env=NAME][,type=file|env]`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (mut id, mut file, mut variable, mut kind) = (None, None, None, None);
        for field in split_csv(text)? {
            let (key, value) = field.split_once('=').ok_or_else(|| format!("`{field}` is not key=value"))?;
            let value = value.to_owned();
            match key.trim().to_ascii_lowercase().as_str() {
                "id" => id = Some(value),
                "src" | "source" => file = Some(value),
                "env" => variable = Some(value),
                "type" if value == "file" || value == "env" => kind = Some(value),
                "type" => return Err(format!("`{value}` is no type of secret; use file or env")),
                other => return Err(format!("`{other}` is not one of id, src, env, type")),
            }
        }
        let id = id.filter(|id| !id.is_empty()).ok_or("a secret needs an id: id=NAME,src=FILE")?;
        if kind.as_deref() == Some("env") && variable.is_none() {
            variable = file.take();
        }
        let source = match (variable.filter(|name| !name.is_empty()), file.filter(|file| !file.is_empty())) {
            (Some(name), _) => SecretSource::Variable(name),
            (None, Some(file)) => SecretSource::File(file.into()),
            (None, None) if kind.as_deref() == Some("file") => SecretSource::File(PathBuf::from(&id)),
            (None, None) if kind.is_some() => SecretSource::Variable(id.clone()),
            (None, None) => SecretSource::Id,
        };
        Ok(Self { id, source })
    }
}

impl AgentSpec {
    /// Reads `default` or `ID[=SOCKET]`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (id, socket) = match text.split_once('=') {
            Some((id, socket)) => (id, Some(socket).filter(|socket| !socket.is_empty())),
            None => (text, None),
        };
        let id = if id.is_empty() { "default" } else { id };
        if socket.is_some_and(|socket| socket.contains(',')) {
            return Err(
                "several keys are not supported yet: start an agent with them and give its socket".to_owned()
            );
        }
        Ok(Self { id: id.to_owned(), socket: socket.map(PathBuf::from) })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn source(text: &str) -> SecretSource {
        SecretSpec::parse(text).unwrap().source
    }

    #[test]
    fn secrets_come_from_files_and_variables() {
        let variable = |name: &str| SecretSource::Variable(name.to_owned());
        let file = |name: &str| SecretSource::File(name.into());
        assert_eq!(
            SecretSpec::parse("id=a,src=/f").unwrap(),
            SecretSpec { id: "a".into(), source: file("/f") }
        );
        assert_eq!(source("source=/f,id=a,type=file"), file("/f"));
        assert_eq!(source("id=a,env=B"), variable("B"));
        assert_eq!(source("type=env,id=a,src=B"), variable("B"));
        assert_eq!(source("id=a"), SecretSource::Id);
        assert_eq!(source("id=a,type=env"), variable("a"));
        assert_eq!(source("id=a,type=file"), file("a"));
        assert_eq!(source("\"id=a\",\"src=/with,comma\""), file("/with,comma"));
    }

    #[test]
    fn mistakes_in_secrets_are_named() {
        for (text, word) in
            [("src=/f", "id"), ("id=", "id"), ("a", "key=value"), ("id=a,x=y", "x"), ("id=a,type=z", "z")]
        {
            let message = SecretSpec::parse(text).unwrap_err();
            assert!(message.contains(word), "{text}: {message}");
        }
    }

    #[test]
    fn agents_have_an_id_and_perhaps_a_socket() {
        let spec =
            |id: &str, socket: Option<&str>| AgentSpec { id: id.into(), socket: socket.map(PathBuf::from) };
        assert_eq!(AgentSpec::parse("default").unwrap(), spec("default", None));
        assert_eq!(AgentSpec::parse("work=/run/agent").unwrap(), spec("work", Some("/run/agent")));
        assert_eq!(AgentSpec::parse("=/run/agent").unwrap(), spec("default", Some("/run/agent")));
        assert_eq!(AgentSpec::parse("x=").unwrap(), spec("x", None));
        assert!(AgentSpec::parse("x=a,b").is_err());
    }
}
