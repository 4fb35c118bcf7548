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
    /// The agent's socket, or private keys in its place; none is the caller's own agent.
    pub paths: Vec<PathBuf>,
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
    /// Reads `default` or `ID[=SOCKET|KEY[,KEY…]]`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (id, paths) = text.split_once('=').unwrap_or((text, ""));
        let id = if id.is_empty() { "default" } else { id };
        if paths.contains(',') && paths.split(',').any(str::is_empty) {
            return Err(format!("one of the paths in `{paths}` is empty"));
        }
        let paths = paths.split(',').filter(|path| !path.is_empty()).map(PathBuf::from);
        Ok(Self { id: id.to_owned(), paths: paths.collect() })
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
        let spec = |id: &str, paths: &[&str]| AgentSpec {
            id: id.into(),
            paths: paths.iter().map(PathBuf::from).collect(),
        };
        assert_eq!(AgentSpec::parse("default").unwrap(), spec("default", &[]));
        assert_eq!(AgentSpec::parse("work=/run/agent").unwrap(), spec("work", &["/run/agent"]));
        assert_eq!(AgentSpec::parse("=/run/agent").unwrap(), spec("default", &["/run/agent"]));
        assert_eq!(AgentSpec::parse("x=").unwrap(), spec("x", &[]));
        assert_eq!(AgentSpec::parse("x=a,b").unwrap(), spec("x", &["a", "b"]));
        assert!(AgentSpec::parse("x=a,,b").is_err());
    }
}
