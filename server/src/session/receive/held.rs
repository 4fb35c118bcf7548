//! Files of a client's that are read once, held in memory: a Dockerfile, an ignore file.
//!
//! What the client lists is what is there, symlinks included: names are looked up among it as beneath a root directory, so that
//! nothing of this machine is seen. Called by the frontend.

use std::collections::{BTreeMap, HashMap};

use super::order::Order;
use super::tree::{said, shown};
use super::{Keep, TreeError};
use crate::api::files::Stat;
use crate::session::files::{Kind, kind};

/// Most bytes of a listing and of its files together.
const MAX_BYTES: usize = 64 << 20;

/// Symlinks on the way to one file, as many as the system follows.
const MAX_LINKS: usize = 40;

/// Longest target of a symlink, in bytes, as long as the system's own: each of [`MAX_LINKS`] takes it apart anew.
const MAX_TARGET: usize = 4095;

/// What the client listed, by path.
#[derive(Debug, Default)]
pub(crate) struct Held {
    entries: BTreeMap<Vec<u8>, Entry>,
    order: Order,
    next: u32,
    is_listed: bool,
    /// Paths of the files that are on their way.
    asked: HashMap<u32, Vec<u8>>,
    /// Bytes that are held.
    bytes: usize,
    /// Bytes of files that were sent.
    sent: u64,
}

#[derive(Debug)]
enum Entry {
    File(Vec<u8>),
    /// Another name of a file.
    Same(Vec<u8>),
    Symlink(Vec<u8>),
    Directory,
    Other,
}

/// Why a name leads to no content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LookupError {
    /// It is a directory, a pipe or the like.
    #[error("is not a regular file")]
    NotAFile,
    /// Its symlinks lead to one another.
    #[error("is behind too many symbolic links")]
    Links,
}

impl Held {
    /// Bytes of files that the client sent.
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// The content of the file that `name` leads to; nothing if nothing is there.
    pub(crate) fn read(&self, name: &str) -> Result<Option<&[u8]>, LookupError> {
        let parts = |path: &[u8]| path.rsplit(|byte| *byte == b'/').map(<[u8]>::to_vec).collect::<Vec<_>>();
        let mut place: Vec<Vec<u8>> = Vec::new();
        let mut rest = parts(name.as_bytes());
        let mut links = 0;
        while let Some(part) = rest.pop() {
            match part.as_slice() {
                b"" | b"." => continue,
                b".." => {
                    place.pop();
                    continue;
                }
                _ => place.push(part),
            }
            match self.entries.get(&place.join(&b'/')) {
                None => return Ok(None),
                Some(Entry::Symlink(target)) => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(LookupError::Links);
                    }
                    place.pop();
                    if target.starts_with(b"/") {
                        place.clear();
                    }
                    rest.extend(parts(target));
                }
                Some(Entry::Directory) => {}
                // A path through a file names nothing.
                Some(_) if rest.iter().any(|part| !part.is_empty()) => return Ok(None),
                Some(_) => {}
            }
        }
        let entry = match self.entries.get(&place.join(&b'/')) {
            Some(Entry::Same(other)) => self.entries.get(other),
            entry => entry,
        };
        match entry {
            Some(Entry::File(content)) => Ok(Some(content)),
            // Nothing but the root has no entry.
            _ => Err(LookupError::NotAFile),
        }
    }

    fn hold(&mut self, path: &[u8], bytes: usize) -> Result<(), TreeError> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > MAX_BYTES {
            return Err(TreeError::TooMuch { path: shown(path), most: MAX_BYTES });
        }
        Ok(())
    }
}

impl Keep for Held {
    fn entry(&mut self, stat: &Stat) -> Result<Option<u32>, TreeError> {
        if self.is_listed {
            return Err(TreeError::Unexpected { what: "an entry after the end of the list" });
        }
        let id = self.next;
        self.next += 1;
        let wrong = |reason| TreeError::Path { path: shown(&stat.path), reason };
        let kind = kind(stat).ok_or_else(|| wrong("is no kind of file"))?;
        self.order.next(&stat.path, kind == Kind::Directory).map_err(|error| wrong(said(error)))?;
        if kind == Kind::Symlink && stat.linkname.len() > MAX_TARGET {
            return Err(wrong(
                "is a symbolic link to a path of more than 4095 bytes, which no Linux system has",
            ));
        }
        self.hold(&stat.path, size_of::<Entry>() + stat.path.len() + stat.linkname.len())?;
        let entry = match kind {
            Kind::File => Entry::File(Vec::new()),
            Kind::HardLink => Entry::Same(stat.linkname.clone()),
            Kind::Symlink => Entry::Symlink(stat.linkname.clone()),
            Kind::Directory => Entry::Directory,
            Kind::Pipe | Kind::Socket | Kind::Device { .. } => Entry::Other,
        };
        self.entries.insert(stat.path.clone(), entry);
        if kind != Kind::File {
            return Ok(None);
        }
        self.asked.insert(id, stat.path.clone());
        Ok(Some(id))
    }

    fn listed(&mut self) {
        self.is_listed = true;
    }

    fn data(&mut self, id: u32, data: &[u8]) -> Result<(), TreeError> {
        let unexpected = TreeError::Unexpected { what: "data of a file" };
        let Some(path) = self.asked.get(&id).cloned() else { return Err(unexpected) };
        self.hold(&path, data.len())?;
        if data.is_empty() {
            self.asked.remove(&id);
        }
        let Some(Entry::File(content)) = self.entries.get_mut(&path) else { return Err(unexpected) };
        content.extend_from_slice(data);
        self.sent += data.len() as u64;
        Ok(())
    }

    fn is_complete(&self) -> bool {
        self.is_listed && self.asked.is_empty()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const DIRECTORY: u32 = 1 << 31;
    const SYMLINK: u32 = 1 << 27;
    const PIPE: u32 = 1 << 25;

    fn held(entries: &[(&str, u32, &str)]) -> Result<Held, TreeError> {
        let mut held = Held::default();
        for (path, mode, text) in entries {
            let linkname = if *mode == 0 { Vec::new() } else { (*text).into() };
            let stat = Stat { path: (*path).into(), mode: *mode, linkname, ..Stat::default() };
            if let Some(id) = held.entry(&stat)? {
                for piece in [text, ""].into_iter().take(if text.is_empty() { 1 } else { 2 }) {
                    held.data(id, piece.as_bytes())?;
                }
            }
        }
        held.listed();
        assert!(held.is_complete());
        Ok(held)
    }

    #[test]
    fn names_lead_where_they_would_beneath_a_root() {
        let entries = [
            ("Dockerfile", SYMLINK, "sub/real"),
            ("absolute", SYMLINK, "/sub/../sub/real"),
            ("again", 0o644, "plain"),
            ("around", SYMLINK, "around"),
            ("out", SYMLINK, "../../../plain"),
            ("pipe", PIPE, ""),
            ("plain", 0, "text"),
            ("sub", DIRECTORY, ""),
            ("sub/real", 0, "FROM scratch"),
            ("sub/up", SYMLINK, "../plain"),
            ("way", SYMLINK, "sub"),
        ];
        let held = held(&entries).unwrap();
        let text = |name: &str| {
            held.read(name).map(|found| found.map(|text| String::from_utf8_lossy(text).into_owned()))
        };
        for (name, content) in [
            ("Dockerfile", "FROM scratch"),
            ("absolute", "FROM scratch"),
            ("./way//real", "FROM scratch"),
            ("../sub/real", "FROM scratch"),
            ("again", "text"),
            ("out", "text"),
            ("sub/up", "text"),
            ("way/up", "text"),
        ] {
            assert_eq!(text(name), Ok(Some(content.to_owned())), "{name}");
        }
        for missing in ["nothing", "sub/nothing", "plain/x", "pipe/x", "Dockerfile/x"] {
            assert_eq!(text(missing), Ok(None), "{missing}");
        }
        for (name, error) in [
            ("sub", LookupError::NotAFile),
            ("way", LookupError::NotAFile),
            ("pipe", LookupError::NotAFile),
            (".", LookupError::NotAFile),
            ("around", LookupError::Links),
        ] {
            assert_eq!(text(name), Err(error), "{name}");
        }
    }

    #[test]
    fn a_listing_is_as_strict_as_one_for_the_disk() {
        assert!(held(&[("b", 0, ""), ("a", 0, "")]).unwrap_err().to_string().contains("out of order"));
        assert!(held(&[("../a", 0, "")]).unwrap_err().to_string().contains("inside the directory"));
        assert!(held(&[("a/b", 0, "")]).unwrap_err().to_string().contains("not listed"));
        let mut unasked = Held::default();
        assert!(matches!(unasked.data(0, b"x"), Err(TreeError::Unexpected { .. })));
    }

    #[test]
    fn a_target_is_no_longer_than_the_system_s() {
        let target = |bytes: usize| format!("Dockerfile{}", "/".repeat(bytes - "Dockerfile".len()));
        let told = held(&[("Dockerfile", SYMLINK, &target(MAX_TARGET + 1))]).unwrap_err().to_string();
        let expected = format!("a path of more than {MAX_TARGET} bytes");
        assert!(told.starts_with("`Dockerfile` ") && told.contains(&expected), "{told}");
        let longest = held(&[("Dockerfile", SYMLINK, &target(MAX_TARGET))]).unwrap();
        assert_eq!(longest.read("Dockerfile"), Err(LookupError::Links));
    }

    #[test]
    fn what_is_held_has_an_end() {
        let mut held = Held::default();
        let id = held.entry(&Stat { path: "Dockerfile".into(), ..Stat::default() }).unwrap().unwrap();
        let piece = vec![0; 1 << 20];
        let taken = (0..100).take_while(|_| held.data(id, &piece).is_ok()).count();
        assert_eq!(taken, MAX_BYTES / piece.len() - 1, "the listing counts, too");
    }
}
