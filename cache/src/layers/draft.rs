//! An overlay upper directory for a step to write into, which then becomes the layer's tree: renamed, never copied.
//!
//! The sandbox mounts it; this module only makes it, reads it and puts it into its place.

use std::fs::{self, DirBuilder};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::digest::DiffId;
use crate::error::{At, FileError};
use crate::layers::applier::{Applier, Rules};
use crate::layers::chunks::{ChunkReader, chunks};
use crate::layers::info::TreeForm;
use crate::layers::tree_reader::{TreeReader, write_tar};
use crate::layers::tree_writer::TreeWriter;
use crate::layers::{LayerError, LayerInfo, Layers};
use crate::tmp::{Temporary, rename};
use crate::view::View;

/// A layer that a step writes as a directory. Dropped unsealed, it leaves nothing.
#[derive(Debug)]
pub struct Draft {
    layers: Layers,
    dir: Temporary,
    upper: PathBuf,
    work: PathBuf,
}

/// How [`Draft::unpack`] treats an archive.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unpack<'a> {
    /// The directory it goes into: relative to the root, symbolic links resolved, empty for the root.
    pub at: &'a [u8],
    /// Everything gets this owner and group instead of the archive's.
    pub owner: Option<(u32, u32)>,
    /// The files below the draft: directories that the archive relies on take their attributes from there.
    pub lower: Option<&'a View>,
}

impl Draft {
    pub(crate) fn new(layers: &Layers) -> Result<Draft, LayerError> {
        let dir = layers.store.tmp().directory()?;
        let (upper, work) = (dir.path().join("upper"), dir.path().join("work"));
        for made in [&upper, &work] {
            DirBuilder::new().mode(0o755).create(made).at("create", made)?;
        }
        // The upper's root is the merged tree's root: its mode must not depend on the caller's umask.
        fs::set_permissions(&upper, fs::Permissions::from_mode(0o755)).at("change the mode of", &upper)?;
        Ok(Draft { layers: layers.clone(), dir, upper, work })
    }

    /// The directory that takes the changes.
    pub fn upper(&self) -> &Path {
        &self.upper
    }

    /// The overlay's work directory, on the same file system.
    pub fn work(&self) -> &Path {
        &self.work
    }

    /// Unpacks a tar (already decompressed) as ADD does: over what the archive itself put there, and with `.wh.` names
    /// as an error, for they could not be told from deletions afterwards.
    pub fn unpack(&mut self, tar: impl Read, how: &Unpack<'_>) -> Result<(), LayerError> {
        let tree = TreeWriter::new(&self.upper)?;
        let nothing;
        let lower = if let Some(lower) = how.lower {
            lower
        } else {
            nothing = View::new(&[])?;
            &nothing
        };
        let rules = Rules { at: how.at, owner: how.owner, lower: Some(lower), whiteouts: false };
        Applier::new(tree, rules).apply(tar)?;
        Ok(())
    }

    /// Makes the layer. Nobody may write to the directory any more: a mount of it has been taken down.
    pub fn seal(self) -> Result<LayerInfo, LayerError> {
        let (diff_id, size, entries) = hash_tree(&self.upper)?;
        let info = LayerInfo { diff_id, size, entries };
        install_tree(&self.layers, &info, &self.upper)?;
        drop(self.dir);
        Ok(info)
    }
}

/// The tar of a tree, hashed on another thread while the files are read.
fn hash_tree(tree: &Path) -> Result<(DiffId, u64, u64), LayerError> {
    let reader = TreeReader::new(tree, true)?;
    let (mut writer, stream) = chunks();
    std::thread::scope(|scope| {
        let hasher = scope.spawn(move || hash_stream(stream));
        let written = write_tar(reader, &mut writer);
        // Without its end, the stream ends the hasher with an error.
        let finished = written.is_ok().then(move || writer.finish());
        let hash =
            hasher.join().map_err(|_| LayerError::Write(io::Error::other("the hashing thread failed")))?;
        let (size, entries) = written?;
        finished.transpose().map_err(LayerError::Write)?;
        Ok((DiffId::from_hash(hash.map_err(LayerError::Write)?), size, entries))
    })
}

fn hash_stream(mut stream: ChunkReader) -> io::Result<[u8; 32]> {
    let mut hash = Sha256::new();
    loop {
        match stream.piece()? {
            [] => return Ok(hash.finalize().into()),
            piece => hash.update(piece),
        }
    }
}

/// Renames a finished tree into its place, unless one is there that can be believed.
pub(crate) fn install_tree(layers: &Layers, info: &LayerInfo, tree: &Path) -> Result<(), LayerError> {
    // Held until the tree is known: whoever comes second must not replace what the first one uses already.
    let _lock = layers.work_lock("layer tree", &info.diff_id)?;
    let known = layers.file(&info.diff_id)?.is_some_and(|file| layers.trusts_tree(&file));
    if known {
        return Ok(());
    }
    put_tree(layers, tree, &layers.dir(&info.diff_id).join("tree"))?;
    layers.store.wrote(info.size);
    let stamp = layers.store.boot().stamp();
    layers.update(&info.diff_id, |file| {
        (file.size, file.entries) = (info.size, info.entries);
        file.tree = Some(TreeForm { stamp, gives_tar: true });
    })?;
    Ok(())
}

/// Renames a directory to a name that only an abandoned one may have.
pub(crate) fn put_tree(layers: &Layers, from: &Path, to: &Path) -> Result<(), FileError> {
    if to.symlink_metadata().is_ok() {
        let trash = layers.store.tmp().directory()?;
        rename(to, &trash.path().join("tree"))?;
    }
    rename(from, to)
}
