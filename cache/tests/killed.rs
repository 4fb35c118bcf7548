//! A process that works on a store is killed again and again, each time somewhere else in its work; what it said it
//! had stored must be there and right, and nothing else must be left.
//!
//! Without the test harness: the test starts itself as the process to be killed.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use kiln_cache::{
    Compression, Content, DiffId, Entry, EntryKind, Forms, KeyBuilder, PruneOptions, Record, Store,
};

/// How often the process is killed.
const KILLS: usize = 50;

fn main() {
    let mut args = std::env::args().skip(1);
    if args.next().as_deref() == Some("child") {
        let (root, round) = (args.next().unwrap(), args.next().unwrap());
        if round == "gc" {
            remove_for_ever(&Store::open(Path::new(&root)).unwrap());
        }
        work(&Store::open(Path::new(&root)).unwrap(), &round);
    }
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("store");
    for round in 0..KILLS {
        kill_in_the_middle(&root, round);
        check(&Store::open(&root).unwrap());
    }
    named_images_outlive_killed_removals(&root);
    let store = Store::open(&root).unwrap();
    store.prune(&PruneOptions { all: true, ..PruneOptions::default() }).unwrap();
    for emptied in ["tmp", "layers", "blobs/sha256", "blobs/stamps", "records", "memos"] {
        assert_eq!(std::fs::read_dir(root.join(emptied)).unwrap().count(), 0, "{emptied}");
    }
}

/// Makes things that may go and removes everything that may go, for ever.
fn remove_for_ever(store: &Store) -> ! {
    let mut announce = io::stdout();
    for number in 0.. {
        for part in 0..4 {
            store.blobs().put(format!("{number} {part}").as_bytes()).unwrap();
            write(store, &format!("gc-{number}-{part}"), Forms { tree: true, tar: part % 2 == 0 });
        }
        writeln!(announce, "{number}").unwrap();
        store.prune(&PruneOptions { all: true, ..PruneOptions::default() }).unwrap();
    }
    unreachable!("the parent kills this process long before")
}

/// Removal is killed again and again; an image with a name keeps its layers and documents, and nothing else is needed.
fn named_images_outlive_killed_removals(root: &Path) {
    let store = Store::open(root).unwrap();
    let layers = ["one", "two"].map(|name| write(&store, name, Forms { tree: true, tar: true }));
    let id = store.blobs().put(b"configuration").unwrap();
    let image = kiln_cache::ImageRecord {
        id: id.clone(),
        manifest: None,
        layers: layers.to_vec(),
        layer_blobs: Vec::new(),
        layer_origins: std::collections::BTreeMap::new(),
        origin: None,
        platform: "linux/amd64".into(),
        created: None,
        size: 0,
    };
    store.images().set("named", &image).unwrap();
    for round in 0..KILLS / 2 {
        kill_after(root, "gc", 1 + round % 3, round);
        let store = Store::open(root).unwrap();
        assert_eq!(store.images().get("named").unwrap().as_ref(), Some(&image));
        assert!(store.blobs().contains(&id).unwrap());
        for layer in &layers {
            assert!(store.layers().info(layer).unwrap().is_some(), "a layer of a named image is gone");
        }
        check(&store);
    }
    assert!(store.images().remove(&id).unwrap());
}

/// Stores one thing after the other and says what it has stored, for ever.
fn work(store: &Store, round: &str) -> ! {
    let mut announce = io::stdout();
    for number in 0.. {
        let name = format!("{round}-{number}");
        let diff_id = match number % 3 {
            0 => write(store, &name, Forms { tree: true, tar: false }),
            1 => write(store, &name, Forms { tree: true, tar: true }),
            _ => seal(store, &name),
        };
        store.layers().compressed(&diff_id, Compression::Gzip).unwrap();
        let (key, parts) = KeyBuilder::new("test").part("name", &name).finish();
        let created = jiff::Timestamp::UNIX_EPOCH;
        let record = Record {
            key,
            slot: key,
            parts,
            notes: Vec::new(),
            layer: Some(diff_id),
            created,
            origin: None,
            milliseconds: 0,
        };
        store.records().put(&record).unwrap();
        writeln!(announce, "{key}").unwrap();
    }
    unreachable!("the parent kills this process long before")
}

fn write(store: &Store, name: &str, forms: Forms) -> DiffId {
    let mut writer = store.layers().writer(forms).unwrap();
    for file in 0..20 {
        let content = name.repeat(1 + file * 700);
        let kind = EntryKind::File { size: content.len() as u64 };
        let entry = Entry::new(format!("f{file:02}"), kind, 0o644);
        writer.add(&entry, Content::Bytes(content.as_bytes())).unwrap();
    }
    writer.finish().unwrap().diff_id
}

fn seal(store: &Store, name: &str) -> DiffId {
    let draft = store.layers().draft().unwrap();
    for file in 0..20 {
        std::fs::write(draft.upper().join(format!("f{file}")), name.repeat(file)).unwrap();
    }
    draft.seal().unwrap().diff_id
}

/// Lets the process work for a while that differs from round to round, kills it, and checks what it had announced.
fn kill_in_the_middle(root: &Path, round: usize) {
    let keys = kill_after(root, &round.to_string(), round % 4, round);
    let store = Store::open(root).unwrap();
    for key in keys {
        let record = store.records().get(&key.parse().unwrap()).unwrap();
        assert!(record.is_some(), "a record that was announced is gone");
    }
}

/// Kills a process of that kind some time after it has announced so many lines, and gives them.
fn kill_after(root: &Path, kind: &str, lines: usize, round: usize) -> Vec<String> {
    let mut child = Killed(
        Command::new(std::env::current_exe().unwrap())
            .arg("child")
            .arg(root)
            .arg(kind)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let mut announced = BufReader::new(child.0.stdout.take().unwrap()).lines();
    let mut keys = Vec::new();
    for _ in 0..lines {
        keys.push(announced.next().unwrap().unwrap());
    }
    // Some work of our own, of a different length each time, moves the moment within the step.
    let mut spent = 0_u64;
    for step in 0..(round as u64 * 7919 % 50) * 40_000 {
        spent = std::hint::black_box(spent.wrapping_mul(31).wrapping_add(step));
    }
    child.0.kill().unwrap();
    child.0.wait().unwrap();
    keys
}

/// Kills the process however the test ends.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // Already dead in the good case.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whatever the store says it has, it has: every layer gives its tar and its blob, and can be unpacked.
fn check(store: &Store) {
    let layers = store.layers();
    for entry in std::fs::read_dir(store.root().join("layers")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let diff_id: DiffId = format!("sha256:{name}").parse().unwrap();
        if layers.info(&diff_id).unwrap().is_none() {
            continue;
        }
        io::copy(&mut layers.open_tar(&diff_id).unwrap(), &mut io::sink()).unwrap();
        let tree = layers.ensure_tree(&diff_id).unwrap();
        assert_eq!(std::fs::read_dir(tree).unwrap().count(), 20);
        if let Some(blob) = layers.blob(&diff_id).unwrap() {
            store.blobs().verify(blob.digest()).unwrap();
        }
    }
}
