//! The rules that no compiler checks: who may depend on whom, where `unsafe`, sockets, printing and environment variables
//! may be, how a file begins and how long it may be, and under which licences the dependencies are.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what is wrong by failing"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package, PackageId};

/// The rooms, each with the rooms that it uses. The same table stands in ARCHITECTURE.md.
const ROOMS: &[(&str, &[&str])] = &[
    ("kiln-parser", &[]),
    ("kiln-sandbox", &[]),
    ("kiln-cache", &[]),
    ("kiln-registry", &[]),
    ("kiln-graph", &["kiln-parser"]),
    ("kiln-builder", &["kiln-cache", "kiln-graph", "kiln-registry", "kiln-sandbox"]),
    ("kiln-server", &["kiln-builder", "kiln-cache", "kiln-graph", "kiln-parser", "kiln-registry"]),
    (
        "kiln",
        &[
            "kiln-builder",
            "kiln-cache",
            "kiln-graph",
            "kiln-parser",
            "kiln-registry",
            "kiln-sandbox",
            "kiln-server",
        ],
    ),
];

/// Crates that only one room may use: each stands for a power that the others do without.
const RESERVED: &[(&str, &str)] = &[
    ("reqwest", "kiln-registry"),
    ("rustls", "kiln-registry"),
    ("libc", "kiln-sandbox"),
    ("seccompiler", "kiln-sandbox"),
    ("tonic", "kiln-server"),
    ("clap", "kiln"),
    ("anyhow", "kiln"),
];

/// Words that only the code of some directories may contain. Tests may contain them all.
const CONFINED: &[(&[&str], &[&str])] = &[
    (&["unsafe "], &["sandbox"]),
    (
        &["ToSocketAddrs", "tokio::net::", "reqwest::", "TcpStream", "TcpListener", "UdpSocket"],
        &["registry", "server"],
    ),
    (&["println!", "eprintln!", "print!", "eprint!", "io::stdout()", "io::stderr()"], &["cli"]),
    (&["env::var(", "env::var_os(", "env::vars(", "env::vars_os("], &["cli"]),
];

/// What no file may contain, tests included.
const BANNED: &[(&str, &str)] = &[
    ("todo!(", "finish it, or leave it out"),
    ("unimplemented!(", "finish it, or leave it out"),
    ("dbg!(", "debugging output"),
    ("#[ignore", "a test runs or is not there"),
    ("thread::sleep", "wait for the event itself"),
];

/// The longest file that needs no better structure.
const LONGEST_FILE: usize = 600;

#[test]
fn rooms_use_only_the_rooms_below_them() {
    for (room, uses) in ROOMS {
        let package = member(room);
        let rooms = package.dependencies.iter().filter(|dependency| dependency.path.is_some());
        let normal = rooms.filter(|dependency| dependency.kind == DependencyKind::Normal);
        let found: BTreeSet<&str> = normal.map(|dependency| dependency.name.as_str()).collect();
        assert_eq!(found, uses.iter().copied().collect(), "the rooms that {room} uses");
    }
    assert_eq!(metadata().workspace_packages().len(), ROOMS.len(), "a room is missing from the table");
}

#[test]
fn reserved_crates_stay_in_their_room() {
    for (room, _) in ROOMS {
        for dependency in &member(room).dependencies {
            let owner = RESERVED.iter().find(|(name, _)| *name == dependency.name).map(|(_, owner)| owner);
            let allowed =
                owner.is_none_or(|owner| owner == room) || dependency.kind != DependencyKind::Normal;
            assert!(allowed, "{room} uses {}, which only {owner:?} may", dependency.name);
        }
    }
}

#[test]
fn confined_words_stay_in_their_directories() {
    let mut found = Vec::new();
    for source in sources().iter().filter(|source| !source.is_test) {
        for (words, rooms) in CONFINED {
            // A build script speaks to cargo on its standard output.
            let is_script = source.path.components().count() == 2 && source.path.ends_with("build.rs");
            if !is_script && !rooms.iter().any(|room| source.path.starts_with(room)) {
                found.extend(source.lines_with(words));
            }
        }
    }
    assert!(
        found.is_empty(),
        "only sandbox may be unsafe, only registry open sockets, only cli print:\n{}",
        found.join("\n")
    );
}

#[test]
fn nothing_is_left_unfinished() {
    let mut found = Vec::new();
    for source in sources().iter().filter(|source| !source.path.ends_with(file!())) {
        for (word, why) in BANNED {
            found
                .extend(source.whole().lines_with(&[*word]).into_iter().map(|line| format!("{line}: {why}")));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn files_say_what_they_are_and_stay_short() {
    let mut found = Vec::new();
    for source in sources() {
        let lines = source.text.lines().count();
        if lines > LONGEST_FILE {
            found.push(format!("{}: {lines} lines, more than {LONGEST_FILE}", source.path.display()));
        }
        if !source.text.starts_with("//! ") {
            found.push(format!(
                "{}: does not begin with `//! ` and what the file does",
                source.path.display()
            ));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn licences_are_those_of_deny_toml() {
    let deny = fs::read_to_string(workspace().join("deny.toml")).unwrap();
    let list = deny.split_once("\nallow = [").unwrap().1.split_once(']').unwrap().0;
    let allowed: BTreeSet<&str> = list.split('"').skip(1).step_by(2).collect();
    // Only what is built for Linux: the lock file knows the dependencies for every other system too.
    let built: BTreeSet<&PackageId> =
        metadata().resolve.as_ref().unwrap().nodes.iter().map(|node| &node.id).collect();
    for package in metadata().packages.iter().filter(|package| built.contains(&package.id)) {
        let license = package.license.as_deref().unwrap_or("(none)");
        assert!(is_allowed(license, &allowed), "{} is under `{license}`", package.name);
    }
}

/// Whether one alternative of a licence expression consists of allowed licences.
fn is_allowed(license: &str, allowed: &BTreeSet<&str>) -> bool {
    let every =
        |group: &str| group.split(" OR ").any(|one| allowed.contains(one.trim_matches(['(', ')', ' '])));
    license.replace('/', " OR ").split(" AND ").all(every)
}

/// A Rust file of the workspace.
struct Source {
    /// Relative to the workspace.
    path: PathBuf,
    text: String,
    /// Whether all of it is test code.
    is_test: bool,
}

impl Source {
    /// The same file, read as one whose tests count too.
    fn whole(&self) -> Source {
        Source { path: self.path.clone(), text: self.text.replace("#[cfg(test)]", ""), is_test: true }
    }

    /// The lines of code that contain one of the words, up to the first test module; comments do not count.
    fn lines_with(&self, words: &[&str]) -> Vec<String> {
        let code = self
            .text
            .lines()
            .enumerate()
            .take_while(|(_, line)| !line.trim_start().starts_with("#[cfg(test)]"));
        code.map(|(number, line)| (number + 1, line.split("//").next().unwrap_or(line)))
            .filter(|(_, line)| words.iter().any(|word| contains_word(line, word)))
            .map(|(number, line)| format!("{}:{number}: {}", self.path.display(), line.trim()))
            .collect()
    }
}

/// Whether a line contains a word that does not continue another to its left, outside of a string that begins with it.
fn contains_word(line: &str, word: &str) -> bool {
    let starts = line.match_indices(word).map(|(at, _)| line[..at].chars().next_back());
    starts.into_iter().any(|before| !before.is_some_and(|c| c.is_alphanumeric() || "_\"`".contains(c)))
}

fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    for (room, _) in ROOMS {
        let directory = member(room).manifest_path.parent().unwrap().as_std_path().to_owned();
        collect(&directory, &mut found);
    }
    found
}

fn collect(directory: &Path, found: &mut Vec<Source>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let relative = path.strip_prefix(workspace()).unwrap().to_owned();
            let mut parts = relative.components().map(|part| part.as_os_str().to_string_lossy().into_owned());
            let is_test = parts
                .any(|part| matches!(part.as_str(), "tests" | "tests.rs" | "benches" | "examples"))
                || relative.to_string_lossy().ends_with("_tests.rs");
            found.push(Source { path: relative, text: fs::read_to_string(&path).unwrap(), is_test });
        }
    }
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn metadata() -> &'static Metadata {
    static METADATA: OnceLock<Metadata> = OnceLock::new();
    METADATA.get_or_init(|| {
        let mut command = MetadataCommand::new();
        command.manifest_path(workspace().join("Cargo.toml")).other_options(vec![
            "--locked".to_owned(),
            "--filter-platform=x86_64-unknown-linux-gnu".to_owned(),
        ]);
        command.exec().unwrap()
    })
}

fn member(name: &str) -> &'static Package {
    let mut packages = metadata().packages.iter();
    packages.find(|package| package.name == name).unwrap_or_else(|| panic!("{name} is not in the workspace"))
}
