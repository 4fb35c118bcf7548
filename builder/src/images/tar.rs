//! The files of an image as one tar: the merged view, in order, owners and extended attributes kept.

use std::collections::HashMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use kiln_cache::{Node, NodeKind, View};
use tar::{Builder, EntryType, Header};

use super::ImageError;
use super::fileset::FileSet;

/// Writes everything that the views show, each in its directory and with what is stated about it, and gives the writer back.
pub(super) fn write<W: Write>(sets: &[FileSet], views: &[View], writer: W) -> Result<W, ImageError> {
    let mut builder = Builder::new(writer);
    builder.sparse(false);
    for (files, view) in sets.iter().zip(views) {
        let mut tar = Tar { view, files, builder: &mut builder, links: HashMap::new() };
        tar.top()?;
        tar.directory(Path::new("/"))?;
        for (name, content) in files.statements(view)? {
            tar.statement(&name, &content)?;
        }
    }
    builder.into_inner().map_err(|source| failed(Path::new("/"), source))
}

struct Tar<'a, W: Write> {
    view: &'a View,
    files: &'a FileSet,
    builder: &'a mut Builder<W>,
    /// Files with several names: their identity, and the first name that was written.
    links: HashMap<(u64, u64), PathBuf>,
}

impl<W: Write> Tar<'_, W> {
    /// The directory that everything is in, if that is not the top.
    fn top(&mut self) -> Result<(), ImageError> {
        if self.files.under.as_os_str().is_empty() {
            return Ok(());
        }
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Directory);
        header.set_mode(0o755);
        header.set_size(0);
        header.set_mtime(self.files.time.and_then(|time| u64::try_from(time).ok()).unwrap_or(0));
        let added = self.builder.append_data(&mut header, &self.files.under, io::empty());
        added.map_err(|source| failed(&self.files.under, source))
    }

    fn statement(&mut self, name: &str, content: &[u8]) -> Result<(), ImageError> {
        let path = self.files.under.join(name);
        let mut header = Header::new_gnu();
        header.set_mode(0o600);
        header.set_size(content.len() as u64);
        header.set_mtime(self.files.time.and_then(|time| u64::try_from(time).ok()).unwrap_or(0));
        self.builder.append_data(&mut header, &path, content).map_err(|source| failed(&path, source))
    }

    fn directory(&mut self, path: &Path) -> Result<(), ImageError> {
        for (name, mut node) in self.view.read_dir(path)? {
            let inside = path.join(name);
            if let Some(time) = self.files.time {
                node.mtime = time;
            }
            self.entry(&inside, &node)?;
            if node.kind == NodeKind::Directory {
                self.directory(&inside)?;
            }
        }
        Ok(())
    }

    fn entry(&mut self, path: &Path, node: &Node) -> Result<(), ImageError> {
        let relative = &self.files.under.join(path.strip_prefix("/").unwrap_or(path));
        let attributes = self.view.xattrs(node)?;
        let pax: Vec<(String, &[u8])> = attributes
            .iter()
            .map(|(name, value)| {
                (format!("SCHILY.xattr.{}", String::from_utf8_lossy(name)), value.as_slice())
            })
            .collect();
        let at = |result: io::Result<()>| result.map_err(|source| failed(path, source));
        if !pax.is_empty() {
            at(self.builder.append_pax_extensions(pax.iter().map(|(name, value)| (name.as_str(), *value))))?;
        }
        let mut header = header(node);
        match node.kind {
            NodeKind::File => self.file(relative, node, header),
            NodeKind::Symlink => {
                let target = node.link_target.as_deref().unwrap_or(Path::new(""));
                at(self.builder.append_link(&mut header, relative, target))
            }
            NodeKind::Socket => Ok(()),
            _ => at(self.builder.append_data(&mut header, relative, io::empty())),
        }
    }

    fn file(&mut self, path: &Path, node: &Node, mut header: Header) -> Result<(), ImageError> {
        if node.nlink > 1 {
            if let Some(first) = self.links.get(&node.identity) {
                header.set_entry_type(EntryType::Link);
                header.set_size(0);
                let linked = self.builder.append_link(&mut header, path, first);
                return linked.map_err(|source| failed(path, source));
            }
            self.links.insert(node.identity, path.to_owned());
        }
        let content = self.view.open(node)?;
        self.builder.append_data(&mut header, path, content).map_err(|source| failed(path, source))
    }
}

fn header(node: &Node) -> Header {
    let mut header = Header::new_gnu();
    header.set_mode(node.mode & 0o7777);
    header.set_uid(node.uid.into());
    header.set_gid(node.gid.into());
    header.set_mtime(u64::try_from(node.mtime).unwrap_or(0));
    header.set_size(if node.kind == NodeKind::File { node.size } else { 0 });
    header.set_entry_type(match node.kind {
        NodeKind::File | NodeKind::Socket => EntryType::Regular,
        NodeKind::Directory => EntryType::Directory,
        NodeKind::Symlink => EntryType::Symlink,
        NodeKind::CharDevice => EntryType::Char,
        NodeKind::BlockDevice => EntryType::Block,
        NodeKind::Fifo => EntryType::Fifo,
    });
    if let NodeKind::CharDevice | NodeKind::BlockDevice = node.kind {
        // A GNU header has room for both; the calls fail only for other kinds of header.
        drop(header.set_device_major(node.rdev.0).and_then(|()| header.set_device_minor(node.rdev.1)));
    }
    header
}

fn failed(path: &Path, source: io::Error) -> ImageError {
    ImageError::File { action: "write the tar entry", path: path.to_owned(), source }
}
