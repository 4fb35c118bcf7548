//! What a client lists of a directory, and has of its files: of one that is there, or of one that is only said to be.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use kiln_server::api::files::Stat;

/// Go's bit for directories.
pub const DIRECTORY: u32 = 1 << 31;

/// One entry.
#[derive(Clone)]
pub struct Entry {
    pub stat: Stat,
    content: Content,
}

#[derive(Clone)]
enum Content {
    Of(PathBuf),
    Text(String),
}

impl Entry {
    /// A directory that is only said to be.
    pub fn directory(path: String) -> Self {
        let stat = Stat { path: path.into(), mode: DIRECTORY | 0o755, ..Stat::default() };
        Self { stat, content: Content::Text(String::new()) }
    }

    /// A file that is only said to be; another time is what tells that it is another one.
    pub fn file(path: String, text: String, seconds: i64) -> Self {
        let (size, mod_time) = (i64::try_from(text.len()).unwrap(), seconds * 1_000_000_000);
        Self {
            stat: Stat { path: path.into(), mode: 0o644, size, mod_time, ..Stat::default() },
            content: Content::Text(text),
        }
    }

    /// Its path.
    pub fn path(&self) -> String {
        String::from_utf8_lossy(&self.stat.path).into_owned()
    }

    /// What is in it.
    pub fn content(&self) -> Vec<u8> {
        match &self.content {
            Content::Of(path) => std::fs::read(path).unwrap(),
            Content::Text(text) => text.clone().into_bytes(),
        }
    }
}

/// Whether a path is, or leads to, or is below what one of the patterns names; without patterns, it is.
pub fn is_wanted(path: &str, patterns: &[String]) -> bool {
    let below = |one: &str, other: &str| {
        one.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    patterns.is_empty() || patterns.iter().any(|pattern| below(path, pattern) || below(pattern, path))
}

/// The entries below a directory in the order of a walk; without patterns, all of them.
pub fn walk(root: &Path, path: &str, patterns: &[String], into: &mut Vec<Entry>) {
    let mut names: Vec<String> = std::fs::read_dir(root.join(path))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    for name in names {
        let inside = if path.is_empty() { name } else { format!("{path}/{name}") };
        if !is_wanted(&inside, patterns) {
            continue;
        }
        let full = root.join(&inside);
        let metadata = std::fs::symlink_metadata(&full).unwrap();
        let kind = if metadata.is_dir() { DIRECTORY } else { 0 };
        let stat = Stat {
            path: inside.clone().into(),
            mode: kind | (metadata.mode() & 0o777),
            size: if metadata.is_file() { i64::try_from(metadata.size()).unwrap() } else { 0 },
            mod_time: metadata.mtime() * 1_000_000_000 + metadata.mtime_nsec(),
            ..Stat::default()
        };
        into.push(Entry { stat, content: Content::Of(full) });
        if metadata.is_dir() {
            walk(root, &inside, patterns, into);
        }
    }
}
