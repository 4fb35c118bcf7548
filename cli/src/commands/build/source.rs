//! The input of a build: the Dockerfile's text, the context's directory, the ignore rules. Contexts that are not a
//! directory are [`elsewhere`]'s.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kiln_builder::FetchedContext;
use kiln_parser::dockerignore;

use super::contexts::{self, NamedContexts};
use super::elsewhere;
use crate::error::CliError;
use crate::flags::build::BuildFlags;
use crate::session::Session;

/// The largest Dockerfile that is read. Far above any real one, and far below what would hurt.
pub(super) const MAX_DOCKERFILE: u64 = 16 << 20;

/// How a Dockerfile from standard input is named to people.
pub(super) const STDIN: &str = "<stdin>";

/// What a build starts from.
#[derive(Debug, Clone)]
pub struct BuildSource {
    /// The Dockerfile as it is named to people.
    pub name: String,
    /// Its text.
    pub text: String,
    /// The context's directory; `None` when nothing is going to be built.
    pub context: Option<ContextDir>,
    /// The ignore patterns, in order.
    pub ignore: Vec<String>,
    /// Where they stand.
    pub ignore_file: Option<IgnoreFile>,
    /// The contexts that were given by name.
    pub named: NamedContexts,
    /// Which Dockerfile this is, the same for every build of it.
    pub project: String,
}

/// A context's directory.
#[derive(Debug, Clone)]
pub enum ContextDir {
    /// The user's own.
    Own(PathBuf),
    /// One that goes when nobody uses it any more.
    Fetched(Arc<FetchedContext>),
    /// One without files, because the Dockerfile came alone (`kiln build -`). It goes, too.
    Empty(Arc<FetchedContext>),
}

impl ContextDir {
    /// Where it is.
    pub fn path(&self) -> &Path {
        match self {
            Self::Own(path) => path,
            Self::Fetched(context) | Self::Empty(context) => context.path(),
        }
    }
}

/// The file that ignore patterns come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IgnoreFile {
    /// Its name.
    pub name: String,
    /// The line of each pattern.
    pub lines: Vec<u32>,
}

impl BuildSource {
    /// A Dockerfile and nothing else.
    pub fn new(name: String, text: String) -> Self {
        let (ignore, named, project) = (Vec::new(), NamedContexts::default(), String::new());
        Self { name, text, context: None, ignore, ignore_file: None, named, project }
    }

    /// The file and the line of an ignore pattern, of the main context or of another one.
    pub fn pattern_place(&self, pattern: &str) -> Option<(&str, u32)> {
        let own = self.ignore_file.as_ref().and_then(|file| {
            let rule = self.ignore.iter().position(|own| own == pattern)?;
            Some((file.name.as_str(), *file.lines.get(rule)?))
        });
        own.or_else(|| self.named.pattern_place(pattern))
    }

    /// Reads what the flags name, fetching it first where it is not a directory.
    pub fn obtain(flags: &BuildFlags, session: &Session) -> Result<Self, CliError> {
        let named = contexts::read(flags, &session.environment)?;
        let source = match elsewhere::read(flags, session)? {
            Some(source) => source,
            None => Self::read(flags)?,
        };
        Ok(Self { named, ..source })
    }

    /// Reads a directory.
    fn read(flags: &BuildFlags) -> Result<Self, CliError> {
        check_directory(&flags.context)?;
        let from_stdin = flags.file.as_deref() == Some(Path::new("-"));
        let path = if from_stdin { None } else { Some(dockerfile_path(flags)) };
        let (name, text) = match &path {
            None => (STDIN.to_owned(), read_stdin()?),
            Some(path) => (shown(path), read_dockerfile(path, flags)?),
        };
        let (ignore, ignore_file) = read_ignore(path.as_deref(), &flags.context)?;
        let directory =
            std::fs::canonicalize(&flags.context).map_err(CliError::file("use", &flags.context))?;
        let project = path.as_deref().and_then(|path| std::fs::canonicalize(path).ok());
        let project = project.unwrap_or_else(|| directory.join("-")).display().to_string();
        let text = to_text(text, path.as_deref())?;
        Ok(Self {
            context: Some(ContextDir::Own(directory)),
            ignore,
            ignore_file,
            project,
            ..Self::new(name, text)
        })
    }
}

fn check_directory(context: &Path) -> Result<(), CliError> {
    let metadata = std::fs::metadata(context).map_err(CliError::file("use the build context", context))?;
    if metadata.is_dir() {
        return Ok(());
    }
    let message = format!("the build context `{}` is not a directory", context.display());
    Err(CliError::usage_with_hint(message, "a Dockerfile is named with -f"))
}

/// `-f` counts from the current directory; without it the context's Dockerfile, in either spelling that docker takes.
fn dockerfile_path(flags: &BuildFlags) -> PathBuf {
    if let Some(file) = &flags.file {
        return file.clone();
    }
    let usual = flags.context.join("Dockerfile");
    let lower = flags.context.join("dockerfile");
    if !usual.exists() && lower.exists() { lower } else { usual }
}

fn shown(path: &Path) -> String {
    let shown = path.strip_prefix(".").unwrap_or(path);
    shown.display().to_string()
}

fn read_dockerfile(path: &Path, flags: &BuildFlags) -> Result<Vec<u8>, CliError> {
    match std::fs::File::open(path).and_then(|file| read_limited(file, path)) {
        Ok(bytes) => Ok(bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(missing_dockerfile(path, flags)),
        Err(error) => Err(CliError::file("read the Dockerfile", path)(error)),
    }
}

fn missing_dockerfile(path: &Path, flags: &BuildFlags) -> CliError {
    let message = format!("there is no Dockerfile at {}", path.display());
    match &flags.file {
        Some(file) if flags.context.join(file).exists() => CliError::usage_with_hint(
            message,
            format!("-f counts from the current directory: write -f {}", flags.context.join(file).display()),
        ),
        Some(_) => CliError::usage(message),
        None => {
            CliError::usage_with_hint(message, "-f names a Dockerfile that is elsewhere or called otherwise")
        }
    }
}

pub(super) fn read_stdin() -> Result<Vec<u8>, CliError> {
    let stdin = Path::new("-");
    read_limited(io::stdin().lock(), stdin).map_err(CliError::file("read standard input", stdin))
}

pub(super) fn read_limited(reader: impl Read, path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(MAX_DOCKERFILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_DOCKERFILE {
        let message = format!("{} is larger than the {MAX_DOCKERFILE} bytes that are read", path.display());
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(bytes)
}

pub(super) fn to_text(bytes: Vec<u8>, path: Option<&Path>) -> Result<String, CliError> {
    String::from_utf8(bytes).map_err(|error| CliError::File {
        action: "read the Dockerfile",
        path: path.unwrap_or(Path::new("-")).to_owned(),
        source: io::Error::new(io::ErrorKind::InvalidData, error.utf8_error()),
    })
}

/// `NAME.dockerignore` beside the Dockerfile wins over the context's own.
pub(super) fn read_ignore(
    dockerfile: Option<&Path>,
    context: &Path,
) -> Result<(Vec<String>, Option<IgnoreFile>), CliError> {
    let own = dockerfile.map(|path| {
        let mut name = path.as_os_str().to_owned();
        name.push(".dockerignore");
        PathBuf::from(name)
    });
    for path in own.into_iter().chain([context.join(".dockerignore")]) {
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let parsed = dockerignore::parse(&text).into_iter();
                let (patterns, lines) = parsed.map(|line| (line.pattern, line.line)).unzip();
                return Ok((patterns, Some(IgnoreFile { name, lines })));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(CliError::file("read", &path)(error)),
        }
    }
    Ok((Vec::new(), None))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs;

    use super::*;

    fn context(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(dir.path().join(name), text).unwrap();
        }
        dir
    }

    fn read(dir: &tempfile::TempDir, file: Option<&str>) -> Result<BuildSource, CliError> {
        let file = file.map(|file| dir.path().join(file));
        BuildSource::read(&BuildFlags { context: dir.path().to_owned(), file, ..BuildFlags::default() })
    }

    #[test]
    fn the_contexts_dockerfile_and_ignore_file() {
        let dir = context(&[("Dockerfile", "FROM a"), (".dockerignore", "# x\n/target\n!keep\n")]);
        let source = read(&dir, None).unwrap();
        assert_eq!(
            (source.text.as_str(), source.ignore),
            ("FROM a", vec!["target".to_owned(), "!keep".to_owned()])
        );
        let directory = source.context.as_ref().map(ContextDir::path);
        assert_eq!(directory, Some(fs::canonicalize(dir.path()).unwrap().as_path()));
        assert!(source.project.ends_with("/Dockerfile"));
    }

    #[test]
    fn the_lower_case_spelling_will_do() {
        let dir = context(&[("dockerfile", "FROM b")]);
        assert_eq!(read(&dir, None).unwrap().text, "FROM b");
    }

    #[test]
    fn an_ignore_file_of_the_dockerfile_wins() {
        let dir = context(&[("X", "FROM a"), ("X.dockerignore", "one"), (".dockerignore", "two")]);
        assert_eq!(read(&dir, Some("X")).unwrap().ignore, ["one"]);
    }

    #[test]
    fn mistakes_name_the_file() {
        let dir = context(&[("other", "FROM a"), ("binary", "")]);
        assert!(read(&dir, None).unwrap_err().to_string().contains("there is no Dockerfile at"));
        fs::write(dir.path().join("binary"), b"FROM \xff").unwrap();
        assert!(read(&dir, Some("binary")).unwrap_err().to_string().ends_with("/binary"));
        let file = BuildFlags { context: dir.path().join("other"), ..BuildFlags::default() };
        assert!(BuildSource::read(&file).unwrap_err().to_string().contains("is not a directory"));
    }
}
