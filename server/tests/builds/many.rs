//! A context of a hundred thousand files: all of them are sent once, and then what has changed.

use std::sync::Arc;

use crate::client::{Daemon, Offer, context, directory, output};
use crate::entries::Entry;
use crate::manners::Manner;

/// Directories, and files in each.
const SHAPE: (usize, usize) = (100, 1000);

/// Room that it needs in memory, in bytes: a page and an inode each, in the context and twice in what is made of it.
const ROOM: u64 = 2 << 30;

/// A directory in memory, if there is that much: disks take minutes to forget so many files.
fn roomy() -> tempfile::TempDir {
    let memory = rustix::fs::statvfs("/dev/shm").is_ok_and(|stat| stat.f_bavail * stat.f_frsize >= ROOM);
    if memory { tempfile::tempdir_in("/dev/shm") } else { tempfile::tempdir() }.unwrap()
}

/// The directory with all files.
fn entries() -> Vec<Entry> {
    let mut entries = vec![Entry::directory("files".to_owned())];
    for number in 0..SHAPE.0 {
        entries.push(Entry::directory(format!("files/{number:02}")));
        let file = |file| {
            let path = format!("files/{number:02}/{file:03}");
            Entry::file(path, format!("{number} {file}"), 1)
        };
        entries.extend((0..SHAPE.1).map(file));
    }
    entries
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_hundred_thousand_files_only_what_changed_is_sent_again() {
    let daemon = Daemon::start_in(roomy(), &[]).await;
    // What is sent is all of it, whatever of it comes into the image.
    let dir = directory(&[("Dockerfile", "FROM scratch\nCOPY --exclude=*/[^7]* files /\n")]);
    let mut entries = entries();
    let ask = async |entries: &[Entry]| {
        let manner = Manner::Listed(Arc::new(entries.to_vec()));
        let offer = Offer { manner, takes_directory: true, ..context(dir.path()) };
        daemon.build(&offer, &[], vec![output("local", &[])]).await
    };
    let first = ask(&entries).await;
    first.answer.unwrap();
    assert_eq!(first.sent.len(), SHAPE.0 * SHAPE.1 + 1, "all of them, and the Dockerfile");
    assert_eq!(first.taken.files.len(), SHAPE.0 * 100);

    let place = |entries: &[Entry], path: &str| {
        entries.iter().position(|entry| entry.path() == path).expect("a file of that name")
    };
    let (changed, gone) = (place(&entries, "files/42/700"), place(&entries, "files/99/701"));
    entries[changed] = Entry::file("files/42/700".to_owned(), "other".to_owned(), 2);
    entries[gone] = Entry::file("files/99/7010".to_owned(), "new".to_owned(), 1);
    let second = ask(&entries).await;
    second.answer.unwrap();
    assert_eq!(second.sent, ["Dockerfile", "files/42/700", "files/99/7010"]);
    assert_eq!(second.taken.files.len(), SHAPE.0 * 100);
    assert_eq!(second.taken.files["42/700"], b"other");
    assert_eq!(second.taken.files["99/7010"], b"new");
    assert!(!second.taken.files.contains_key("99/701"));
}
