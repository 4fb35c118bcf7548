//! Where an archive is written: standard output, or a file that appears whole or not at all.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::error::CliError;
use crate::flags::output::Destination;

/// What the archive writers are given.
pub type Writer = BufWriter<Box<dyn Write + Send>>;

/// Large enough that tar's 512-byte records do not each become a system call.
const BUFFER: usize = 256 * 1024;

/// A destination that is being written; dropped unfinished, the file is gone.
#[derive(Debug)]
pub struct Writing {
    file: Option<Partial>,
}

/// A file under the name it has until it is complete.
#[derive(Debug)]
struct Partial {
    path: PathBuf,
    target: PathBuf,
}

impl Writing {
    /// Prepares the destination; what cannot be written is found here, before any work is done for it.
    pub fn begin(destination: &Destination) -> Result<Self, CliError> {
        let Destination::File(target) = destination else { return Ok(Self { file: None }) };
        let name = target.file_name().ok_or_else(|| {
            CliError::usage(format!("`{}` is not a file that can be written", target.display()))
        })?;
        if target.is_dir() {
            return Err(CliError::usage(format!("`{}` is a directory", target.display())));
        }
        let parent =
            target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::metadata(parent).map_err(CliError::file("write", target))?;
        let mut partial = std::ffi::OsString::from(".");
        partial.push(name);
        partial.push(format!(".{}.partial", std::process::id()));
        Ok(Self { file: Some(Partial { path: target.with_file_name(partial), target: target.clone() }) })
    }

    /// The writer of the archive. Called once.
    pub fn writer(&self) -> Result<Writer, CliError> {
        let inner: Box<dyn Write + Send> = match &self.file {
            None => Box::new(io::stdout()),
            Some(partial) if is_special(&partial.target) => {
                let open = File::options().write(true).open(&partial.target);
                Box::new(open.map_err(CliError::file("write", &partial.target))?)
            }
            Some(partial) => {
                Box::new(File::create(&partial.path).map_err(CliError::file("write", &partial.target))?)
            }
        };
        Ok(BufWriter::with_capacity(BUFFER, inner))
    }

    /// Puts the file into place.
    pub fn finish(self, mut writer: Writer) -> Result<(), CliError> {
        match &self.file {
            None => writer.flush().map_err(CliError::standard_output),
            Some(partial) => {
                writer.flush().map_err(CliError::file("write", &partial.target))?;
                if is_special(&partial.target) {
                    return Ok(());
                }
                std::fs::rename(&partial.path, &partial.target)
                    .map_err(CliError::file("write", &partial.target))
            }
        }
    }
}

/// A device or a pipe (`/dev/null`) is written to, not replaced.
fn is_special(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
}

impl Drop for Partial {
    fn drop(&mut self) {
        // Gone already when the archive was complete.
        drop(std::fs::remove_file(&self.path));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_when_it_is_complete() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("a.tar");
        std::fs::write(&target, "old").unwrap();
        let writing = Writing::begin(&Destination::File(target.clone())).unwrap();
        let mut writer = writing.writer().unwrap();
        writer.write_all(b"new").unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"old");
        writing.finish(writer).unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"new");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn nothing_is_left_of_what_was_not_finished() {
        let dir = tempfile::tempdir().unwrap();
        let writing = Writing::begin(&Destination::File(dir.path().join("a.tar"))).unwrap();
        drop(writing.writer().unwrap());
        drop(writing);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_missing_directory_is_found_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let error = Writing::begin(&Destination::File(dir.path().join("none/a.tar"))).unwrap_err();
        assert!(error.to_string().ends_with("/none/a.tar"), "{error}");
        assert!(Writing::begin(&Destination::File("a.tar".into())).is_ok());
    }

    #[test]
    fn a_directory_is_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let error = Writing::begin(&Destination::File(dir.path().to_owned())).unwrap_err();
        assert!(error.to_string().contains("is a directory"));
    }

    #[test]
    fn a_device_is_written_to_and_stays() {
        let writing = Writing::begin(&Destination::File("/dev/null".into())).unwrap();
        let mut writer = writing.writer().unwrap();
        writer.write_all(b"x").unwrap();
        writing.finish(writer).unwrap();
        assert!(is_special(Path::new("/dev/null")));
    }
}
