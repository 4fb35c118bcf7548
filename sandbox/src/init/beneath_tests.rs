//! Look-ups beneath a directory, with everything that a hostile image can put in the way.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::symlink;

use super::*;

fn root() -> (tempfile::TempDir, fs::File) {
    let directory = tempfile::tempdir().unwrap();
    let open = fs::File::open(directory.path()).unwrap();
    (directory, open)
}

fn resolved(names: &[&str], existing: usize) -> Resolved {
    Resolved { names: names.iter().map(OsString::from).collect(), existing }
}

#[test]
fn existing_and_missing_names_are_told_apart() {
    let (directory, root) = root();
    fs::create_dir_all(directory.path().join("a/b")).unwrap();
    assert_eq!(resolve(&root, Path::new("/a/b")).unwrap(), resolved(&["a", "b"], 2));
    assert_eq!(resolve(&root, Path::new("/a/c/d")).unwrap(), resolved(&["a", "c", "d"], 1));
    assert_eq!(resolve(&root, Path::new("/")).unwrap(), resolved(&[], 0));
}

#[test]
fn links_and_dots_never_leave_the_root() {
    let (directory, root) = root();
    let at = |name: &str| directory.path().join(name);
    fs::create_dir_all(at("usr/etc")).unwrap();
    symlink("/usr/etc", at("etc")).unwrap();
    symlink("../../../../usr", at("up")).unwrap();
    symlink("/", at("self")).unwrap();
    assert_eq!(resolve(&root, Path::new("/etc/hosts")).unwrap(), resolved(&["usr", "etc", "hosts"], 2));
    assert_eq!(resolve(&root, Path::new("/up/etc")).unwrap(), resolved(&["usr", "etc"], 2));
    assert_eq!(resolve(&root, Path::new("/self/self/usr")).unwrap(), resolved(&["usr"], 1));
    assert_eq!(resolve(&root, Path::new("/../../usr")).unwrap(), resolved(&["usr"], 1));
}

#[test]
fn a_link_to_nothing_has_the_place_of_its_target() {
    let (directory, root) = root();
    fs::create_dir(directory.path().join("etc")).unwrap();
    symlink("../run/systemd/resolv.conf", directory.path().join("etc/resolv.conf")).unwrap();
    let found = resolve(&root, Path::new("/etc/resolv.conf")).unwrap();
    assert_eq!(found, resolved(&["run", "systemd", "resolv.conf"], 0));
}

#[test]
fn loops_and_files_in_the_way_are_errors() {
    let (directory, root) = root();
    symlink("b", directory.path().join("a")).unwrap();
    symlink("a", directory.path().join("b")).unwrap();
    fs::write(directory.path().join("file"), "").unwrap();
    assert_eq!(resolve(&root, Path::new("/a")), Err(Errno::LOOP));
    assert_eq!(resolve(&root, Path::new("/file/x")), Err(Errno::NOTDIR));
}

#[test]
fn links_of_proc_are_not_followed() {
    let root = fs::File::open("/").unwrap();
    assert_eq!(open(&root, "/proc/self/fd/0").unwrap_err(), Errno::LOOP);
    assert_eq!(open(&root, "/proc/self/root/etc").unwrap_err(), Errno::LOOP);
}

#[test]
fn missing_parts_are_made_where_they_may_be() {
    let (directory, root) = root();
    symlink("deep", directory.path().join("link")).unwrap();
    let wanted = resolve(&root, Path::new("/link/er/file")).unwrap();
    let device = rustix::fs::fstat(&root).unwrap().st_dev;
    assert_eq!(make(&root, &wanted, Leaf::File, Some(device)).unwrap_err(), Errno::NOENT);
    make(&root, &wanted, Leaf::File, None).unwrap();
    assert!(directory.path().join("deep/er/file").is_file());
    let again = resolve(&root, Path::new("/link/er/file")).unwrap();
    assert!(again.exists());
    make(&root, &again, Leaf::File, Some(device)).unwrap();
}
