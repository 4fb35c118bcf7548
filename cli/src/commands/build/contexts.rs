//! Named contexts: `--build-context` becomes what the lowering is told and the directories that the builder is given.
//!
//! Directories are looked at once, for being there and for their ignore file; they are opened when the target needs
//! them. Images, layouts and URLs are only named here, and looked up when the target needs them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use kiln_graph::lower::NamedContext;
use kiln_graph::op::{LayoutImage, Source};
use kiln_registry::{Digest, Reference};

use super::options;
use super::source::{IgnoreFile, read_ignore};
use crate::environment::Environment;
use crate::error::CliError;
use crate::flags::build::BuildFlags;

/// What can follow the name, for whoever wrote something else.
const ACCEPTED: &str = "a context is a directory, docker-image://REFERENCE, oci-layout://DIRECTORY[:TAG][@DIGEST], \
    the URL of a git repository, or http(s)://… of a file or an archive";

/// The reference that stands for no files.
const SCRATCH: &str = "scratch";

/// The build argument that keeps `.git` in contexts that are repositories.
const KEEP_GIT_DIR: &str = "BUILDKIT_CONTEXT_KEEP_GIT_DIR";

/// All named contexts of a build.
#[derive(Debug, Clone, Default)]
pub struct NamedContexts {
    /// For the lowering.
    pub all: BTreeMap<String, NamedContext>,
    /// Those that are directories.
    pub directories: BTreeMap<String, PathBuf>,
    /// Where the ignore patterns of these stand.
    pub ignore_files: BTreeMap<String, IgnoreFile>,
}

/// Reads what the flags name; of several contexts of one name the last counts, as in docker.
pub fn read(flags: &BuildFlags, environment: &Environment) -> Result<NamedContexts, CliError> {
    let mut contexts = NamedContexts::default();
    let keep_git_dir = keeps_git_dir(flags, environment)?;
    let given: BTreeMap<&str, &str> =
        flags.contexts.iter().map(|spec| (spec.name.as_str(), spec.value.as_str())).collect();
    for (name, value) in given {
        let context = if let Some(reference) = value.strip_prefix("docker-image://") {
            image(reference).map_err(|problem| wrong(name, value, &problem))?
        } else if let Some(layout) = value.strip_prefix("oci-layout://") {
            NamedContext::Layout(self::layout(layout).map_err(|problem| wrong(name, value, &problem))?)
        } else if Path::new(value).exists() {
            contexts.directory(name, Path::new(value))?
        } else {
            elsewhere(value, keep_git_dir).map_err(|problem| wrong(name, value, &problem))?
        };
        contexts.all.insert(name.to_owned(), context);
    }
    Ok(contexts)
}

impl NamedContexts {
    fn directory(&mut self, name: &str, path: &Path) -> Result<NamedContext, CliError> {
        let directory = std::fs::canonicalize(path).map_err(CliError::file("use the build context", path))?;
        if !directory.is_dir() {
            return Err(wrong(name, &path.display().to_string(), "this is not a directory"));
        }
        let (ignore, file) = read_ignore(None, &directory)?;
        self.directories.insert(name.to_owned(), directory);
        if let Some(mut file) = file {
            file.name = path.join(file.name).display().to_string();
            self.ignore_files.insert(name.to_owned(), file);
        }
        Ok(NamedContext::Directory { ignore })
    }

    /// The file and the line of an ignore pattern of one of the contexts.
    pub fn pattern_place(&self, pattern: &str) -> Option<(&str, u32)> {
        self.ignore_files.iter().find_map(|(name, file)| {
            let NamedContext::Directory { ignore } = self.all.get(name)? else { return None };
            let rule = ignore.iter().position(|own| own == pattern)?;
            Some((file.name.as_str(), *file.lines.get(rule)?))
        })
    }

    /// The line of the ignore file that says this of a context: where it stands, and the pattern.
    pub fn ignore_line(&self, name: &str, rule: usize) -> Option<(&IgnoreFile, &str)> {
        let NamedContext::Directory { ignore } = self.all.get(name)? else { return None };
        Some((self.ignore_files.get(name)?, ignore.get(rule)?))
    }
}

/// Whether the build argument asks for `.git`; what is no boolean asks for nothing, as in BuildKit.
pub fn keeps_git_dir(flags: &BuildFlags, environment: &Environment) -> Result<bool, CliError> {
    let args = options::build_args(&flags.build_args, environment)?;
    let value = args.get(KEEP_GIT_DIR).map(String::as_str);
    Ok(matches!(value, Some("1" | "t" | "T" | "true" | "TRUE" | "True")))
}

fn wrong(name: &str, value: &str, problem: &str) -> CliError {
    let value = kiln_graph::redact(value);
    CliError::usage_with_hint(format!("--build-context {name}={value}: {problem}"), ACCEPTED)
}

fn image(reference: &str) -> Result<NamedContext, String> {
    if reference != SCRATCH {
        Reference::parse(reference).map_err(|error| error.to_string())?;
    }
    Ok(NamedContext::Image { reference: reference.to_owned() })
}

/// `DIRECTORY[:TAG][@DIGEST]`; what looks like neither belongs to the directory's name.
fn layout(text: &str) -> Result<LayoutImage, String> {
    let (mut directory, mut digest, mut tag) = (text, None, None);
    if let Some((front, end)) = text.rsplit_once('@')
        && end.contains(':')
        && !end.contains('/')
    {
        let parsed: Digest = end.parse().map_err(|_| format!("`{end}` is not a digest"))?;
        (directory, digest) = (front, Some(parsed.to_string()));
    }
    if let Some((front, end)) = directory.rsplit_once(':')
        && is_tag(end)
    {
        (directory, tag) = (front, Some(end.to_owned()));
    }
    if !Path::new(directory).is_dir() {
        return Err(format!("there is no directory {directory}"));
    }
    let absolute = std::path::absolute(directory).map_err(|error| error.to_string())?;
    let directory = absolute.into_os_string().into_string();
    let directory = directory.map_err(|path| format!("the path {} is not UTF-8", path.display()))?;
    Ok(LayoutImage { directory, tag, digest })
}

fn is_tag(text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.len() <= 128
        && text.bytes().next().is_some_and(is_word)
        && text.bytes().all(|byte| is_word(byte) || matches!(byte, b'.' | b'-'))
}

fn elsewhere(value: &str, keep_git_dir: bool) -> Result<NamedContext, String> {
    match kiln_graph::remote_source(value)? {
        Some(Source::Git(mut git)) => {
            git.keep_git_dir |= keep_git_dir;
            Ok(NamedContext::Git(git))
        }
        Some(Source::Http(_)) => Ok(NamedContext::Http { url: value.to_owned() }),
        _ if value.starts_with("target:") => Err("targets of bake files are not supported yet".to_owned()),
        _ => match value.split_once("://") {
            Some((scheme, _)) => Err(format!("nothing is known about `{scheme}://`")),
            None => Err(format!("there is no directory {value}")),
        },
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::flags::contexts::ContextSpec;

    fn read_specs(specs: &[String], args: &[&str]) -> Result<NamedContexts, CliError> {
        let flags = BuildFlags {
            contexts: specs.iter().map(|text| ContextSpec::parse(text).unwrap()).collect(),
            build_args: args.iter().map(|&arg| arg.to_owned()).collect(),
            ..BuildFlags::default()
        };
        read(&flags, &Environment::of(&[], true))
    }

    fn one(value: &str, args: &[&str]) -> Result<NamedContext, String> {
        let read = read_specs(&[format!("a={value}")], args);
        read.map(|contexts| contexts.all["a"].clone()).map_err(|error| error.to_string())
    }

    #[test]
    fn directories_have_their_own_ignore_file() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(".dockerignore"), "# first\n*.o\n").unwrap();
        let path = dir.path().display().to_string();
        let contexts = read_specs(&["a=/nowhere/at/all".to_owned(), format!("a={path}")], &[]).unwrap();
        assert_eq!(contexts.all["a"], NamedContext::Directory { ignore: vec!["*.o".to_owned()] });
        assert_eq!(contexts.directories["a"], dir.path().canonicalize().unwrap());
        let (file, pattern) = contexts.ignore_line("a", 0).unwrap();
        assert_eq!((file.lines[0], pattern), (2, "*.o"));
        assert!(file.name.starts_with(&path), "{}", file.name);
    }

    #[test]
    fn a_layout_has_a_directory_and_perhaps_a_tag_and_a_digest() {
        let dir = tempfile::tempdir().unwrap();
        let odd = dir.path().join("a@b");
        std::fs::create_dir(&odd).unwrap();
        let digest = format!("sha256:{}", "0".repeat(64));
        let (path, odd) = (dir.path().display().to_string(), odd.display().to_string());
        let image = |directory: &str, tag: Option<&str>, digest: Option<&str>| {
            let (tag, digest) = (tag.map(str::to_owned), digest.map(str::to_owned));
            LayoutImage { directory: directory.to_owned(), tag, digest }
        };
        for (text, expected) in [
            (path.clone(), image(&path, None, None)),
            (format!("{path}:v1.2"), image(&path, Some("v1.2"), None)),
            (format!("{path}@{digest}"), image(&path, None, Some(&digest))),
            (format!("{path}:v1@{digest}"), image(&path, Some("v1"), Some(&digest))),
        ] {
            assert_eq!(layout(&text).unwrap(), expected, "{text}");
        }
        assert!(layout(&format!("{path}@sha256:0")).unwrap_err().contains("not a digest"));
        assert!(layout(&format!("{path}/none:v1")).unwrap_err().contains("/none"));
        assert_eq!(layout(&odd).unwrap(), image(&odd, None, None));
    }

    #[test]
    fn urls_are_repositories_or_files() {
        let git = |value: &str, args: &[&str]| match one(value, args).unwrap() {
            NamedContext::Git(git) => git,
            other => panic!("{other:?}"),
        };
        assert!(!git("https://h/x.git#main", &[]).keep_git_dir);
        assert!(git("https://h/x.git#main", &["BUILDKIT_CONTEXT_KEEP_GIT_DIR=1"]).keep_git_dir);
        assert!(git("github.com/a/b", &["BUILDKIT_CONTEXT_KEEP_GIT_DIR=true"]).keep_git_dir);
        assert!(!git("git@h:x.git", &["BUILDKIT_CONTEXT_KEEP_GIT_DIR=maybe"]).keep_git_dir);
        assert_eq!(
            one("http://h/x.tar", &[]).unwrap(),
            NamedContext::Http { url: "http://h/x.tar".to_owned() }
        );
    }

    #[test]
    fn mistakes_name_the_context_and_what_is_accepted() {
        for (value, word) in [
            ("./nowhere/at/all", "./nowhere/at/all"),
            ("docker-image://A B", "docker-image://A B"),
            ("oci-layout:///nowhere/at/all", "no directory /nowhere/at/all"),
            ("ftp://user:secret@h/x", "`ftp://`"),
            ("target:base", "bake"),
            ("https://h/x.git?depth=1", "unexpected query"),
        ] {
            let message = one(value, &[]).unwrap_err();
            assert!(message.contains("--build-context a=") && message.contains(word), "{value}: {message}");
            assert!(!message.contains("secret"), "{message}");
        }
        assert_eq!(
            one("docker-image://scratch", &[]).unwrap(),
            NamedContext::Image { reference: "scratch".to_owned() }
        );
    }
}
