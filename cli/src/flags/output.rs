//! The value of `--output`: where the result of a build goes beside the store.
//!
//! Source of the syntax: buildx's `--output` (comma-separated `key=value`, or a bare path). Parsed here,
//! performed by `crate::commands::build`.

use std::path::PathBuf;

/// One `--output`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutputSpec {
    /// `type=image`: the image in the store, under further names, pushed if asked.
    Image {
        /// Names to give it.
        names: Vec<String>,
        /// Whether they are pushed.
        push: bool,
    },
    /// `type=oci`: an OCI archive.
    Oci(Destination),
    /// `type=docker`: an archive for `docker load`; without a destination the image stays in the store.
    Docker(Option<Destination>),
    /// `type=local`: the files of the image in a directory.
    Local(PathBuf),
    /// `type=tar`: the files of the image as one tar.
    Tar(Destination),
}

/// Where an archive is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// Standard output.
    Stdout,
    /// A file.
    File(PathBuf),
}

impl Destination {
    /// `-` is standard output, anything else a path.
    pub fn from_text(text: &str) -> Self {
        if text == "-" { Self::Stdout } else { Self::File(PathBuf::from(text)) }
    }
}

impl OutputSpec {
    /// Reads one `--output` value.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("an output needs a type or a directory".to_owned());
        }
        if !text.contains('=') {
            return Ok(match text {
                "-" => Self::Tar(Destination::Stdout),
                directory => Self::Local(PathBuf::from(directory)),
            });
        }
        let mut fields = Fields::split(text)?;
        let kind = fields.take("type").ok_or_else(|| format!("`{text}` has no type="))?;
        let spec = match kind.as_str() {
            "image" => Self::image(&mut fields)?,
            "registry" => Self::Image { names: fields.names(), push: true },
            "oci" => Self::Oci(fields.archive("oci")?),
            "docker" => Self::Docker(fields.optional_archive()?),
            "local" => Self::local(&mut fields)?,
            "tar" => Self::Tar(fields.archive("tar")?),
            other => {
                return Err(format!(
                    "output type `{other}` is not one of image, registry, oci, docker, local, tar"
                ));
            }
        };
        fields.finish(&kind)?;
        Ok(spec)
    }

    fn image(fields: &mut Fields) -> Result<Self, String> {
        let push = fields.boolean("push")?.unwrap_or(false);
        Ok(Self::Image { names: fields.names(), push })
    }

    fn local(fields: &mut Fields) -> Result<Self, String> {
        match fields.take("dest") {
            Some(dest) if dest != "-" => Ok(Self::Local(PathBuf::from(dest))),
            Some(_) => {
                Err("type=local writes a directory; use type=tar,dest=- for standard output".to_owned())
            }
            None => Err("type=local needs dest=DIR".to_owned()),
        }
    }

    /// True when it writes to standard output, which then cannot be used for anything else.
    pub fn uses_stdout(&self) -> bool {
        matches!(
            self,
            Self::Oci(Destination::Stdout)
                | Self::Docker(Some(Destination::Stdout))
                | Self::Tar(Destination::Stdout)
        )
    }
}

/// `key=value` pairs that have not been used yet.
struct Fields(Vec<(String, String)>);

impl Fields {
    fn split(text: &str) -> Result<Self, String> {
        let pairs = split_csv(text)?.into_iter().map(|field| {
            let (key, value) = field.split_once('=').ok_or_else(|| format!("`{field}` is not key=value"))?;
            Ok((key.trim().to_ascii_lowercase(), value.to_owned()))
        });
        Ok(Self(pairs.collect::<Result<_, String>>()?))
    }

    /// The last value given for the key.
    fn take(&mut self, key: &str) -> Option<String> {
        let value = self.0.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.clone());
        self.0.retain(|(name, _)| name != key);
        value
    }

    fn names(&mut self) -> Vec<String> {
        let names = self.take("name").unwrap_or_default();
        names.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
    }

    fn boolean(&mut self, key: &str) -> Result<Option<bool>, String> {
        match self.take(key).as_deref() {
            None => Ok(None),
            Some("1" | "t" | "true") => Ok(Some(true)),
            Some("0" | "f" | "false") => Ok(Some(false)),
            Some(other) => Err(format!("{key}={other}: true or false is meant")),
        }
    }

    fn optional_archive(&mut self) -> Result<Option<Destination>, String> {
        if self.boolean("tar")? == Some(false) {
            return Err("tar=false (a directory in place of an archive) is not supported yet".to_owned());
        }
        Ok(self.take("dest").map(|dest| Destination::from_text(&dest)))
    }

    fn archive(&mut self, kind: &str) -> Result<Destination, String> {
        self.optional_archive()?
            .ok_or_else(|| format!("type={kind} needs dest=FILE (or dest=- for standard output)"))
    }

    fn finish(self, kind: &str) -> Result<(), String> {
        match self.0.first() {
            None => Ok(()),
            Some((key, _)) => Err(format!("type={kind} does not support `{key}=` yet")),
        }
    }
}

/// Splits at commas; a field may stand in double quotes, in which `""` is a quote.
pub(super) fn split_csv(text: &str) -> Result<Vec<String>, String> {
    let mut fields = Vec::new();
    let mut field = String::new();
    let mut quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(std::mem::take(&mut field)),
            other => field.push(other),
        }
    }
    if quoted {
        return Err(format!("a quote is not closed in `{text}`"));
    }
    fields.push(field);
    Ok(fields)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn file(path: &str) -> Destination {
        Destination::File(PathBuf::from(path))
    }

    #[test]
    fn bare_values_are_a_directory_or_a_tar_stream() {
        assert_eq!(OutputSpec::parse("out").unwrap(), OutputSpec::Local("out".into()));
        assert_eq!(OutputSpec::parse("-").unwrap(), OutputSpec::Tar(Destination::Stdout));
    }

    #[test]
    fn typed_values() {
        assert_eq!(OutputSpec::parse("type=oci,dest=a.tar").unwrap(), OutputSpec::Oci(file("a.tar")));
        assert_eq!(OutputSpec::parse("type=docker").unwrap(), OutputSpec::Docker(None));
        assert_eq!(
            OutputSpec::parse("type=docker,dest=-").unwrap(),
            OutputSpec::Docker(Some(Destination::Stdout))
        );
        assert_eq!(OutputSpec::parse("dest=d,type=local").unwrap(), OutputSpec::Local("d".into()));
        assert_eq!(
            OutputSpec::parse("type=image,\"name=a:1,b:2\",push=true").unwrap(),
            OutputSpec::Image { names: vec!["a:1".into(), "b:2".into()], push: true }
        );
        assert_eq!(
            OutputSpec::parse("type=registry").unwrap(),
            OutputSpec::Image { names: vec![], push: true }
        );
    }

    #[test]
    fn mistakes_are_named() {
        let message = |text: &str| OutputSpec::parse(text).unwrap_err();
        assert!(message("type=oci").contains("dest=FILE"));
        assert!(message("type=zip,dest=x").contains("`zip`"));
        assert!(message("dest=x").contains("no type="));
        assert!(message("type=oci,dest=x,compression=zstd").contains("`compression=`"));
        assert!(message("type=oci,dest=x,tar=false").contains("not supported yet"));
        assert!(message("type=image,push=maybe").contains("push=maybe"));
        assert!(message("type=\"oci").contains("quote"));
        assert!(message("").contains("type"));
    }
}
