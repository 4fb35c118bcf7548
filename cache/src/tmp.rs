//! Things under construction: everything is made in `tmp/` and renamed into place when it is complete.
//!
//! A name in `tmp/` tells the boot and the process that made it, and its maker holds a file lock on it. So whatever a
//! killed process left behind can be told from what a living one is still writing, and is removed by [`Tmp::sweep`].

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{CWD, Mode, OFlags, RenameFlags, renameat_with};
use rustix::process::{Pid, test_kill_process};

use crate::error::{At, FileError, optional};

/// One counter for the whole process, so that two stores opened by it cannot choose the same name.
static COUNTER: AtomicU64 = AtomicU64::new(0);

/// Digits of the boot id that a name carries: enough to tell two boots of one machine apart.
const BOOT_DIGITS: usize = 8;

/// The directory `tmp/` of a store.
#[derive(Debug)]
pub(crate) struct Tmp {
    dir: PathBuf,
    boot: String,
}

/// A file or directory in `tmp/`, locked by this process and removed when dropped, unless it was kept.
#[derive(Debug)]
pub(crate) struct Temporary {
    path: PathBuf,
    /// Holds the lock. For a file, also what is written to.
    handle: File,
    kept: bool,
}

impl Tmp {
    pub fn new(dir: PathBuf, boot_id: &str) -> Tmp {
        Tmp { dir, boot: boot_id.chars().filter(char::is_ascii_hexdigit).take(BOOT_DIGITS).collect() }
    }

    /// A new, empty file.
    pub fn file(&self) -> Result<Temporary, FileError> {
        let path = self.name();
        let handle =
            File::options().read(true).write(true).create_new(true).open(&path).at("create", &path)?;
        locked(path, handle)
    }

    /// A new, empty directory, closed to everybody else.
    pub fn directory(&self) -> Result<Temporary, FileError> {
        let path = self.name();
        DirBuilder::new().mode(0o700).create(&path).at("create", &path)?;
        let handle = File::open(&path).at("open", &path)?;
        locked(path, handle)
    }

    /// Writes a whole file and puts it into place in one step; whatever stood there is replaced.
    pub fn publish(&self, bytes: &[u8], to: &Path) -> Result<(), FileError> {
        let mut file = self.file()?;
        file.handle.write_all(bytes).at("write", &file.path)?;
        file.keep_as(to)
    }

    /// The same for what may be lost when the machine stops. Where a file takes the place of another one, file systems write
    /// it out first, which takes longer than all else that a build without work does; where two change places, they do not.
    pub fn publish_loosely(&self, bytes: &[u8], to: &Path) -> Result<(), FileError> {
        let mut file = self.file()?;
        file.handle.write_all(bytes).at("write", &file.path)?;
        match renameat_with(CWD, &file.path, CWD, to, RenameFlags::EXCHANGE) {
            // What stood there has the temporary name now, and goes with it.
            Ok(()) => Ok(()),
            // Nothing stood there, or the file system cannot do it.
            Err(_) => file.keep_as(to),
        }
    }

    /// Moves something out of its place in one step, for the caller to remove; nothing if it is not there. Makes no file:
    /// it works on a full disk.
    pub fn take_away(&self, path: &Path) -> Result<Option<PathBuf>, FileError> {
        let taken = self.name();
        Ok(optional(fs::rename(path, &taken).at("move away", path))?.map(|()| taken))
    }

    /// Removes what dead processes left behind.
    pub fn sweep(&self) -> Result<(), FileError> {
        for entry in fs::read_dir(&self.dir).at("list", &self.dir)? {
            let path = entry.at("list", &self.dir)?.path();
            if self.is_abandoned(&path) {
                remove_all(&path)?;
            }
        }
        Ok(())
    }

    /// Whether [`Tmp::sweep`] would find something to remove. Reads one directory and no file in it.
    pub fn has_abandoned(&self) -> Result<bool, FileError> {
        for entry in fs::read_dir(&self.dir).at("list", &self.dir)? {
            if !self.maker_lives(&entry.at("list", &self.dir)?.path()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A name that tells this boot and process, and that nothing else has.
    pub fn file_name(&self) -> String {
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        format!("{}-{}-{number}", self.boot, std::process::id())
    }

    fn name(&self) -> PathBuf {
        self.dir.join(self.file_name())
    }

    fn is_abandoned(&self, path: &Path) -> bool {
        if self.maker_lives(path) {
            return false;
        }
        // The process number may mean another process here than where the file was made (a container that shares
        // the store): the lock decides.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(handle) => File::from(handle).try_lock().is_ok(),
            Err(_) => false,
        }
    }

    fn maker_lives(&self, path: &Path) -> bool {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return false };
        let mut fields = name.split('-');
        if fields.next() != Some(self.boot.as_str()) {
            return false;
        }
        let pid = fields.next().and_then(|pid| pid.parse().ok()).and_then(Pid::from_raw);
        pid.is_some_and(|pid| test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
    }
}

impl Temporary {
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn handle(&mut self) -> &mut File {
        &mut self.handle
    }

    /// Renames the whole into place, replacing a file that stood there. Makes the directory for it if need be.
    pub fn keep_as(mut self, to: &Path) -> Result<(), FileError> {
        rename(&self.path, to)?;
        self.kept = true;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.kept {
            // A failure leaves garbage that the next sweep finds; there is nobody here to tell.
            let _ = remove_all(&self.path);
        }
    }
}

/// How often the directory above a target is made anew: whoever removes things removes empty directories too.
const ATTEMPTS: usize = 16;

/// Renames, making the directory above the target if it is missing.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), FileError> {
    for _ in 0..ATTEMPTS {
        match fs::rename(from, to) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && from.symlink_metadata().is_ok() => {
                if let Some(parent) = to.parent() {
                    fs::create_dir_all(parent).at("create", parent)?;
                }
            }
            result => return result.at("rename to", to),
        }
    }
    fs::rename(from, to).at("rename to", to)
}

/// Removes a file, or a directory with everything in it. What is not there any more is no error.
pub(crate) fn remove_all(path: &Path) -> Result<(), FileError> {
    let result = match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => fs::remove_dir_all(path),
        result => result,
    };
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result.at("remove", path),
    }
}

fn locked(path: PathBuf, handle: File) -> Result<Temporary, FileError> {
    let temporary = Temporary { path, handle, kept: false };
    temporary.handle.lock().at("lock", &temporary.path)?;
    Ok(temporary)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const BOOT: &str = "0123abcd-1111-2222-3333-444444444444";

    fn fixture() -> (tempfile::TempDir, Tmp) {
        let dir = tempfile::tempdir().unwrap();
        let tmp = Tmp::new(dir.path().to_owned(), BOOT);
        (dir, tmp)
    }

    #[test]
    fn what_is_dropped_is_removed_and_what_is_kept_stays() {
        let (dir, tmp) = fixture();
        drop(tmp.file().unwrap());
        let directory = tmp.directory().unwrap();
        fs::write(directory.path().join("x"), "x").unwrap();
        drop(directory);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        tmp.publish(b"bytes", &dir.path().join("a/b/c")).unwrap();
        assert_eq!(fs::read(dir.path().join("a/b/c")).unwrap(), b"bytes");
    }

    #[test]
    fn what_may_be_lost_is_replaced_as_a_whole_too() {
        let (dir, tmp) = fixture();
        let to = dir.path().join("a/b");
        for bytes in [&b"first"[..], b"second", b""] {
            tmp.publish_loosely(bytes, &to).unwrap();
            assert_eq!(fs::read(&to).unwrap(), bytes);
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left but the directory `a`");
        }
    }

    #[test]
    fn the_sweep_takes_what_dead_processes_left_and_nothing_else() {
        let (dir, tmp) = fixture();
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let dead = child.id();
        child.wait().unwrap();
        let own = tmp.directory().unwrap();
        fs::create_dir_all(dir.path().join(format!("0123abcd-{dead}-1/upper/x"))).unwrap();
        fs::write(dir.path().join("ffffffff-1-1"), "another boot").unwrap();
        let locked_path = dir.path().join(format!("0123abcd-{dead}-2"));
        let locked = File::create(&locked_path).unwrap();
        locked.lock().unwrap();
        assert!(tmp.has_abandoned().unwrap());
        tmp.sweep().unwrap();
        assert!(own.path().exists() && locked_path.exists());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }
}
