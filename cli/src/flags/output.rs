//! The value of `--output`: where the result of a build goes beside the store.
//!
//! Source of the syntax: buildx's `--output` (comma-separated `key=value`, or a bare path). Parsed here, the attributes by
//! the builder; performed by `crate::commands::build`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use kiln_builder::images::{OutputAttributes, OutputKind};

/// One `--output`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputSpec {
    /// Where it goes.
    pub place: Place,
    /// What is said about it.
    pub attributes: OutputAttributes,
}

/// Where an output goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The store, and registries if it is pushed.
    Store,
    /// Nowhere: only the cache is filled.
    Nowhere,
    /// An archive.
    Archive(Destination),
    /// An OCI layout in a directory.
    Layout(PathBuf),
    /// Files in a directory.
    Directory(PathBuf),
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
            return match text {
                "-" => Self::read(OutputKind::Tar, &BTreeMap::from([("dest".to_owned(), text.to_owned())])),
                "cacheonly" => Self::nowhere(),
                directory => {
                    let dest = BTreeMap::from([("dest".to_owned(), directory.to_owned())]);
                    Self::read(OutputKind::Local, &dest)
                }
            };
        }
        let mut fields = BTreeMap::new();
        for field in split_csv(text)? {
            let (key, value) = field.split_once('=').ok_or_else(|| format!("`{field}` is not key=value"))?;
            fields.insert(attribute(key.trim()), value.to_owned());
        }
        let kind = fields.remove("type").ok_or_else(|| format!("`{text}` has no type="))?;
        match kind.as_str() {
            "image" => Self::read(OutputKind::Image, &fields),
            "registry" => {
                fields.entry("push".to_owned()).or_insert_with(|| "true".to_owned());
                Self::read(OutputKind::Image, &fields)
            }
            "oci" => Self::read(OutputKind::Oci, &fields),
            "docker" => Self::read(OutputKind::Docker, &fields),
            "local" => Self::read(OutputKind::Local, &fields),
            "tar" => Self::read(OutputKind::Tar, &fields),
            "cacheonly" if fields.is_empty() => Self::nowhere(),
            "cacheonly" => Err("type=cacheonly has no attributes".to_owned()),
            other => Err(format!(
                "output type `{other}` is not one of image, registry, oci, docker, local, tar, cacheonly"
            )),
        }
    }

    fn nowhere() -> Result<Self, String> {
        Ok(Self { place: Place::Nowhere, ..Self::read(OutputKind::Image, &BTreeMap::new())? })
    }

    fn read(kind: OutputKind, fields: &BTreeMap<String, String>) -> Result<Self, String> {
        let attributes = OutputAttributes::read(kind, fields).map_err(|error| error.to_string())?;
        let dest = fields.get("dest").map(String::as_str);
        let place = match (kind, dest) {
            (OutputKind::Image | OutputKind::Docker, None) if attributes.tar => Place::Store,
            (OutputKind::Image, _) => return Err("type=image goes to the store: it has no dest=".to_owned()),
            (OutputKind::Oci | OutputKind::Docker, Some(dest)) if !attributes.tar => {
                if dest == "-" {
                    return Err("tar=false writes a directory, which standard output is not".to_owned());
                }
                Place::Layout(PathBuf::from(dest))
            }
            (OutputKind::Oci | OutputKind::Docker, None) if !attributes.tar => {
                return Err(format!("type={kind},tar=false needs dest=DIR"));
            }
            (OutputKind::Local, None) => return Err("type=local needs dest=DIR".to_owned()),
            (OutputKind::Local, Some("-")) => {
                return Err(
                    "type=local writes a directory; use type=tar,dest=- for standard output".to_owned()
                );
            }
            (OutputKind::Local, Some(dest)) => Place::Directory(PathBuf::from(dest)),
            (_, Some(dest)) => Place::Archive(Destination::from_text(dest)),
            (_, None) => return Err(format!("type={kind} needs dest=FILE (or dest=- for standard output)")),
        };
        let spec = Self { place, attributes };
        spec.refuse()?;
        Ok(spec)
    }

    /// What only a client's own directory or a daemon's store could do.
    fn refuse(&self) -> Result<(), String> {
        if self.attributes.delete {
            return Err("mode=delete: what else is in the directory stays; remove it before".to_owned());
        }
        let is_kept = self.place == Place::Store && !self.attributes.push;
        let is_usual = self.attributes.packing.is_plain();
        if is_kept && self.attributes.kind == OutputKind::Image && !is_usual {
            return Err(
                "the store keeps files, not packed layers and manifests: attributes of these need push=true"
                    .to_owned(),
            );
        }
        if is_kept && self.attributes.kind == OutputKind::Docker && !self.attributes.is_plain() {
            return Err("attributes of type=docker are those of an archive: give it dest=FILE".to_owned());
        }
        Ok(())
    }

    /// True when it writes to standard output, which then cannot be used for anything else.
    pub fn uses_stdout(&self) -> bool {
        self.place == Place::Archive(Destination::Stdout)
    }
}

/// The name of an attribute; those of annotations keep their case.
fn attribute(key: &str) -> String {
    if key.starts_with("annotation") { key.to_owned() } else { key.to_ascii_lowercase() }
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
    use kiln_registry::Reference;

    use super::*;

    fn place(text: &str) -> Place {
        OutputSpec::parse(text).unwrap().place
    }

    fn file(path: &str) -> Place {
        Place::Archive(Destination::File(PathBuf::from(path)))
    }

    #[test]
    fn bare_values_are_a_directory_or_a_tar_stream() {
        assert_eq!(place("out"), Place::Directory("out".into()));
        assert_eq!(place("-"), Place::Archive(Destination::Stdout));
        assert_eq!(place("cacheonly"), Place::Nowhere);
    }

    #[test]
    fn typed_values() {
        assert_eq!(place("type=oci,dest=a.tar"), file("a.tar"));
        assert_eq!(place("type=docker"), Place::Store);
        assert_eq!(place("type=docker,dest=-"), Place::Archive(Destination::Stdout));
        assert_eq!(place("dest=d,type=local"), Place::Directory("d".into()));
        assert_eq!(place("type=oci,tar=false,dest=d"), Place::Layout("d".into()));
        assert_eq!(place("type=cacheonly"), Place::Nowhere);
        let image = OutputSpec::parse("type=image,\"name=a:1,b:2\",push=true").unwrap();
        let names: Vec<_> = image.attributes.names.iter().map(Reference::familiar).collect();
        assert!(image.place == Place::Store && image.attributes.push);
        assert_eq!(names, ["a:1", "b:2"]);
        assert!(OutputSpec::parse("type=registry").unwrap().attributes.push);
        let written = OutputSpec::parse("type=oci,dest=x,annotation.Key=Value,compression=zstd").unwrap();
        assert!(!written.attributes.is_plain());
    }

    #[test]
    fn mistakes_are_named() {
        let message = |text: &str| OutputSpec::parse(text).unwrap_err();
        assert!(message("type=oci").contains("dest=FILE"));
        assert!(message("type=oci,tar=false").contains("dest=DIR"));
        assert!(message("type=zip,dest=x").contains("`zip`"));
        assert!(message("dest=x").contains("no type="));
        assert!(message("type=oci,dest=x,compression=estargz").contains("compression=estargz"));
        assert!(message("type=image,push=maybe").contains("push=maybe"));
        assert!(message("type=image,compression=zstd").contains("push=true"));
        assert!(message("type=docker,annotation.a=b").contains("dest=FILE"));
        assert!(message("type=local,dest=d,mode=delete").contains("mode=delete"));
        assert!(message("type=cacheonly,a=b").contains("no attributes"));
        assert!(message("type=\"oci").contains("quote"));
        assert!(message("").contains("type"));
    }
}
