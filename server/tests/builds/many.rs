//! A context of a hundred thousand files: all of them are sent once, and then what has changed.

use std::fs;

use crate::client::{Daemon, context, directory, write};

/// Directories, and files in each.
const SHAPE: (usize, usize) = (100, 1000);

#[tokio::test(flavor = "multi_thread")]
async fn of_a_hundred_thousand_files_only_what_changed_is_sent_again() {
    let daemon = Daemon::start().await;
    let dir = directory(&[("Dockerfile", "FROM scratch\nCOPY files /\n")]);
    for number in 0..SHAPE.0 {
        let below = dir.path().join(format!("files/{number:02}"));
        fs::create_dir_all(&below).unwrap();
        for file in 0..SHAPE.1 {
            fs::write(below.join(format!("{file:03}")), format!("{number} {file}")).unwrap();
        }
    }
    let offer = context(dir.path());
    let first = daemon.build(&offer, &[], vec![]).await;
    let digest = first.answer.unwrap();
    assert_eq!(first.sent.len(), SHAPE.0 * SHAPE.1 + 1, "all of them, and the Dockerfile");

    write(dir.path(), "files/42/007", "changed");
    write(dir.path(), "files/99/new", "new");
    fs::remove_file(dir.path().join("files/00/000")).unwrap();
    let second = daemon.build(&offer, &[], vec![]).await;
    assert_eq!(second.sent, ["Dockerfile", "files/42/007", "files/99/new"]);
    second.answer.unwrap();
    drop(digest);
}
