//! Both ways of mounting, in a mount namespace of the test's own. Needs root.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use super::*;
use crate::sys;

fn open(path: &Path) -> OwnedFd {
    rustix::fs::openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap()
}

/// Runs something in a thread whose mounts are its own.
fn isolated(test: impl FnOnce(&Scratch, &Path) + Send + 'static) {
    let thread = std::thread::spawn(move || {
        sys::tests::leave_mount_namespace();
        mounts::make_private().unwrap();
        let directory = tempfile::tempdir().unwrap();
        for name in ["one", "two", "upper", "work"] {
            fs::create_dir(directory.path().join(name)).unwrap();
        }
        fs::write(directory.path().join("one/file"), "one").unwrap();
        fs::write(directory.path().join("two/file"), "two").unwrap();
        test(&Scratch::new().unwrap(), directory.path());
    });
    thread.join().unwrap();
}

fn read(root: &OwnedFd, name: &str) -> rustix::io::Result<String> {
    let file = rustix::fs::openat(root, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    Ok(std::io::read_to_string(fs::File::from(file)).unwrap())
}

fn changes(at: &Path) -> Changes {
    Changes { upper: open(&at.join("upper")), work: open(&at.join("work")) }
}

#[test]
fn a_list_mounts_what_single_parameters_mount() {
    isolated(|scratch, at| {
        let layers = [open(&at.join("one")), open(&at.join("two"))];
        let layers: Vec<&OwnedFd> = layers.iter().collect();
        let root = mount_as_list(&layers, None, scratch, "old").unwrap();
        assert_eq!(read(&root, "file").unwrap(), "one");
        unmount(root).unwrap();
        assert_eq!(read(&scratch.directory("old").unwrap(), "file").unwrap_err(), Errno::NOENT);

        let root = mount_as_list(&layers, Some(&changes(at)), scratch, "old").unwrap();
        rustix::fs::mkdirat(&root, "made", Mode::RWXU).unwrap();
        assert!(at.join("upper/made").is_dir());
        let options = fs::read_to_string("/proc/thread-self/mountinfo").unwrap();
        assert!(options.lines().any(|line| line.contains("- overlay overlay") && line.contains("volatile")));
    });
}

#[test]
fn without_changes_nothing_can_be_written() {
    isolated(|scratch, at| {
        let layers = [open(&at.join("one")), open(&at.join("two"))];
        let layers: Vec<&OwnedFd> = layers.iter().collect();
        for root in [
            mount(&layers, None, scratch, "new").unwrap(),
            mount_as_list(&layers, None, scratch, "old").unwrap(),
        ] {
            assert_eq!(rustix::fs::mkdirat(&root, "made", Mode::RWXU), Err(Errno::ROFS));
            unmount(root).unwrap();
        }
    });
}

#[test]
fn a_list_that_is_too_long_is_refused_by_number() {
    isolated(|scratch, at| {
        let one = open(&at.join("one"));
        let error = mount_as_list(&vec![&one; 300], None, scratch, "old").unwrap_err();
        assert!(error.to_string().starts_with("300 layers"), "{error}");
    });
}
