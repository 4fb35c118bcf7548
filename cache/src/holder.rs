//! Who holds a lock: a note in the lock's file, for those who wait for it.
//!
//! The lock itself is the kernel's ([`crate::locks`] takes it); the note is only for people. A process that was killed leaves
//! its note behind, so a note counts only while the process that wrote it lives, told by its number and the moment that
//! it was started.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;

use jiff::Timestamp;

/// Who holds a lock, since when, and for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockHolder {
    /// Number of the process.
    pub pid: u32,
    /// When it took the lock.
    pub since: Timestamp,
    /// What for, in the words of whoever took it.
    pub what: String,
}

/// The longest note: one page.
const MAX_NOTE: usize = 4096;

/// Writes a note into the file of a lock that is held. A note that cannot be written makes a message shorter, nothing else.
pub(crate) fn write(file: &File, what: &str) -> bool {
    static STARTED: OnceLock<Option<u64>> = OnceLock::new();
    let pid = std::process::id();
    let Some(started) = *STARTED.get_or_init(|| started(pid)) else { return false };
    let mut note = format!("{pid} {started} {}\n{what}", Timestamp::now().as_millisecond()).into_bytes();
    note.truncate(MAX_NOTE);
    // A process that was killed may have left a longer one.
    file.set_len(0).is_ok() && file.write_all_at(&note, 0).is_ok()
}

/// Reads a note; nothing if there is none, or if it is that of a process that is gone.
pub(crate) fn read(note: &[u8]) -> Option<LockHolder> {
    let text = String::from_utf8_lossy(note);
    let (head, what) = text.split_once('\n')?;
    let mut fields = head.split(' ');
    let pid: u32 = fields.next()?.parse().ok()?;
    let start: u64 = fields.next()?.parse().ok()?;
    let since = Timestamp::from_millisecond(fields.next()?.parse().ok()?).ok()?;
    (started(pid)? == start).then(|| LockHolder { pid, since, what: what.to_owned() })
}

/// When a process was started, in clock ticks since the boot: field 22 of proc(5)'s `stat`, the 20th after its name.
fn started(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(19)?.parse().ok()
}
