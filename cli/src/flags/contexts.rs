//! `--build-context` of a build: what was written, before any directory is looked at.
//!
//! The form is docker's. What the values stand for is found out in `crate::commands::build`.

use kiln_graph::lower::context_name;

/// One `--build-context`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextSpec {
    /// The name as names are compared: `docker.io/library/alpine:latest` is `alpine`.
    pub name: String,
    /// What it stands for, as written.
    pub value: String,
}

impl ContextSpec {
    /// Reads `NAME=VALUE`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once('=').ok_or("it is written NAME=VALUE, such as libs=../libs")?;
        let name = context_name(name).map_err(|error| error.to_string())?;
        if value.is_empty() {
            return Err(
                "nothing follows the `=`: a directory, docker-image://…, oci-layout://… or a URL is expected"
                    .to_owned(),
            );
        }
        Ok(Self { name, value: value.to_owned() })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_name_and_everything_after_the_first_sign() {
        let spec = |name: &str, value: &str| ContextSpec { name: name.to_owned(), value: value.to_owned() };
        assert_eq!(ContextSpec::parse("libs=../libs").unwrap(), spec("libs", "../libs"));
        assert_eq!(
            ContextSpec::parse("docker.io/library/alpine:latest=docker-image://a=b").unwrap(),
            spec("alpine", "docker-image://a=b")
        );
        assert_eq!(ContextSpec::parse("a::linux/aarch64=d").unwrap(), spec("a::linux/arm64", "d"));
        for (text, word) in
            [("libs", "NAME=VALUE"), ("=d", "``"), ("Libs=d", "`Libs`"), ("a=", "follows"), ("a::x=d", "`x`")]
        {
            let message = ContextSpec::parse(text).unwrap_err();
            assert!(message.contains(word), "{text}: {message}");
        }
    }
}
