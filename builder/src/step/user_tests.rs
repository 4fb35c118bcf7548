//! Users of images that mean well, and of those that do not.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::symlink;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;

use super::*;

const USERS: &str = "root:x:0:0::/root:/bin/sh\napp:x:10:20::/home/app:/bin/sh\nother:x:11:21::\n";
const GROUPS: &str = "root:x:0:\nstaff:x:50:other,app\nwheel:x:51:app\nlogs:x:52:\n";

fn image() -> TempDir {
    let directory = TempDir::new().unwrap();
    fs::create_dir(directory.path().join("etc")).unwrap();
    fs::write(directory.path().join("etc/passwd"), USERS).unwrap();
    fs::write(directory.path().join("etc/group"), GROUPS).unwrap();
    directory
}

fn view(image: &TempDir) -> View {
    View::new(&[image.path().to_owned()]).unwrap()
}

/// CVE-2022-2990: the primary group is among the supplementary ones, and no group of anybody else's.
#[test]
fn a_process_has_the_groups_of_its_user() {
    let image = image();
    let groups = |user: &str| {
        let identity = identity(&view(&image), user).unwrap();
        (identity.ids.uid, identity.ids.gid, identity.groups)
    };
    assert_eq!(groups("app"), (10, 20, vec![20, 50, 51]));
    assert_eq!(groups("10"), (10, 20, vec![20, 50, 51]));
    assert_eq!(groups("app:logs"), (10, 52, vec![52]));
    assert_eq!(groups("app:7"), (10, 7, vec![7]));
    assert_eq!(groups("99"), (99, 0, vec![0]));
    assert_eq!(groups(""), (0, 0, vec![0]));
    for wrong in ["nobody", "app:nobody", "4294967295", "99999999999"] {
        assert!(identity(&view(&image), wrong).is_err(), "{wrong}");
    }
}

/// CVE-2024-9676: reading a FIFO would wait for ever, and a link could name a file of the host.
#[test]
fn a_database_is_a_file_of_the_image_or_nothing() {
    let host = TempDir::new().unwrap();
    fs::write(host.path().join("passwd"), "app:x:0:0::/root:/bin/sh\n").unwrap();
    for name in ["passwd", "group"] {
        let image = image();
        let path = image.path().join("etc").join(name);
        let read = |what: &str| {
            let found = identity(&view(&image), "app:staff");
            let owned = owner(&view(&image), &Owner { user: "app".into(), group: Some("staff".into()) });
            assert!(found.is_err() && owned.is_err(), "{name} is {what}: {found:?} {owned:?}");
        };
        fs::remove_file(&path).unwrap();
        mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        read("a FIFO");
        fs::rename(&path, image.path().join("fifo")).unwrap();
        symlink("/fifo", &path).unwrap();
        read("a link to a FIFO");
        fs::remove_file(&path).unwrap();
        symlink(host.path().join("passwd"), &path).unwrap();
        read("a link to the host");
        fs::remove_file(&path).unwrap();
        symlink(name, &path).unwrap();
        read("a link to itself");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        read("a directory");
        fs::remove_dir(&path).unwrap();
        let file = fs::File::create(&path).unwrap();
        file.set_len(MAX_DATABASE + 1).unwrap();
        read("without end");
    }
}

#[test]
fn a_link_within_the_image_is_followed() {
    let image = image();
    fs::create_dir(image.path().join("real")).unwrap();
    fs::rename(image.path().join("etc/passwd"), image.path().join("real/users")).unwrap();
    symlink("/real/users", image.path().join("etc/passwd")).unwrap();
    assert_eq!(identity(&view(&image), "app").unwrap().ids.uid, 10);
}

#[test]
fn lines_that_are_no_accounts_are_passed_over() {
    let image = image();
    let odd = "\n:::\napp\napp:x\napp:x:ten:20::\n#app:x:1:1\napp:x:10:20::/home/app:/bin/sh\n\u{0}\n";
    fs::write(image.path().join("etc/passwd"), odd).unwrap();
    assert_eq!(identity(&view(&image), "app").unwrap().ids, Ids { uid: 10, gid: 20 });
}

#[test]
fn files_may_belong_to_ids_that_no_process_has() {
    let image = image();
    let owner_of = |user: &str, group: &str| {
        owner(&view(&image), &Owner { user: user.to_owned(), group: Some(group.to_owned()) })
    };
    assert_eq!(owner_of("4294967294", "3000000000").unwrap(), Ids { uid: 4_294_967_294, gid: 3_000_000_000 });
    assert!(matches!(owner_of("4294967295", "0"), Err(UserError::Range { kind: "user", .. })));
    assert!(matches!(owner_of("0", "4294967295"), Err(UserError::Range { kind: "group", .. })));
    assert!(matches!(identity(&view(&image), "2147483648"), Err(UserError::Range { kind: "user", .. })));
}
