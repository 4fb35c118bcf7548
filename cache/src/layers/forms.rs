//! From one form of a layer to what a consumer asks for: what is known of it, its blobs, its tar as a stream.

use std::collections::HashSet;
use std::io::{self, BufReader, Read};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use oci_spec::image::Descriptor;
use sha2::{Digest as _, Sha256};

use crate::archive;
use crate::blobs::BlobError;
use crate::digest::{DiffId, Digest, sha256_hex};
use crate::error::At;
use crate::error::FileError;
use crate::layers::chunks::chunks;
use crate::layers::info::{BlobForm, LayerFile};
use crate::layers::tree_reader::{TreeReader, write_tar};
use crate::layers::{LayerError, LayerInfo, Layers};
use crate::lease::Held;

/// Bytes read from a blob at a time.
const BLOB_BUFFER: usize = 128 * 1024;

/// The layers whose trees this process has seen to be complete.
#[derive(Debug, Default)]
pub(crate) struct KnownTrees(Mutex<HashSet<DiffId>>);

impl Layers {
    /// What is known of a layer, if some form of it is here and can be believed.
    pub fn info(&self, diff_id: &DiffId) -> Result<Option<LayerInfo>, LayerError> {
        let Some(file) = self.file(diff_id)? else { return Ok(None) };
        let here = self.trusts_tree(&file)
            || file.bound.values().any(|stamp| self.store.boot().trusts(stamp))
            || self.present_blob(&file)?.is_some();
        Ok(here.then(|| file.info()))
    }

    /// The layer's tree, if it is unpacked and holds for every chain of lower layers.
    pub fn tree(&self, diff_id: &DiffId) -> Result<Option<PathBuf>, LayerError> {
        if let Some(tree) = self.remembered_tree(diff_id)? {
            return Ok(Some(tree));
        }
        let trusted = self.file(diff_id)?.is_some_and(|file| self.trusts_tree(&file));
        Ok(trusted.then(|| self.remember_tree(diff_id)))
    }

    /// Adds a blob as a form of a layer. The blob must be here; whether it is that layer shows when it is unpacked.
    pub fn register_blob(&self, diff_id: &DiffId, blob: &Descriptor) -> Result<(), LayerError> {
        sha256_hex(blob.digest()).map_err(BlobError::Digest)?;
        if !self.store.blobs().contains(blob.digest())? {
            return Err(BlobError::Missing { digest: blob.digest().clone() }.into());
        }
        let form = BlobForm { descriptor: blob.clone(), maker: None };
        if self.file(diff_id)?.is_some_and(|file| file.blobs.contains(&form)) {
            return Ok(());
        }
        self.update(diff_id, |file| file.add_blob(form))?;
        Ok(())
    }

    /// Whether a blob that is here, unpacked, is this layer. What cannot be unpacked is not.
    pub fn is_form(&self, diff_id: &DiffId, blob: &Digest) -> Result<bool, LayerError> {
        let path = self.store.blobs().path(blob)?;
        let file = self.store.blobs().open(blob)?;
        let Ok(tar) = archive::unpacked(BufReader::with_capacity(BLOB_BUFFER, file)) else {
            return Ok(false);
        };
        let mut tar = VerifiedTar::new(tar, diff_id);
        match io::copy(&mut tar, &mut io::sink()) {
            Ok(_) => Ok(true),
            Err(source) if source.raw_os_error().is_some() => Err(source).at("read", &path)?,
            Err(_) => Ok(false),
        }
    }

    /// Any blob of the layer that is here, as it was registered.
    pub fn blob(&self, diff_id: &DiffId) -> Result<Option<Descriptor>, LayerError> {
        let Some(file) = self.file(diff_id)? else { return Ok(None) };
        Ok(self.present_blob(&file)?.map(|form| form.descriptor))
    }

    /// The uncompressed tar, from whichever form there is. The last read fails if what was read is not the layer.
    pub fn open_tar(&self, diff_id: &DiffId) -> Result<Box<dyn Read + Send>, LayerError> {
        let Some(file) = self.file(diff_id)? else {
            return Err(LayerError::Unknown { diff_id: diff_id.clone() });
        };
        if let Some(form) = self.present_blob(&file)? {
            let tar = self.open_blob(&form)?;
            return Ok(Box::new(VerifiedTar::new(tar, diff_id)));
        }
        if self.trusts_tree(&file) && file.tree.as_ref().is_some_and(|tree| tree.gives_tar) {
            let tree = TreeReader::new(&self.dir(diff_id).join("tree"), false)?;
            return Ok(Box::new(VerifiedTar::new(stream_tree(tree), diff_id)));
        }
        Err(LayerError::Unknown { diff_id: diff_id.clone() })
    }

    /// Whether there is a form that the layer's tar can be read from: the tree of a foreign layer is none.
    pub fn has_tar(&self, diff_id: &DiffId) -> Result<bool, LayerError> {
        let Some(file) = self.file(diff_id)? else { return Ok(false) };
        let tree_gives_it = file.tree.as_ref().is_some_and(|tree| tree.gives_tar) && self.trusts_tree(&file);
        Ok(tree_gives_it || self.present_blob(&file)?.is_some())
    }

    /// Opens the tar inside a blob, whatever it is compressed with.
    pub(crate) fn open_blob(&self, form: &BlobForm) -> Result<Box<dyn Read + Send>, LayerError> {
        let file = self.store.blobs().open(form.descriptor.digest())?;
        Ok(archive::unpacked(BufReader::with_capacity(BLOB_BUFFER, file))?)
    }

    /// The blob to read a layer from: one that costs least to read.
    pub(crate) fn present_blob(&self, file: &LayerFile) -> Result<Option<BlobForm>, LayerError> {
        let mut forms: Vec<&BlobForm> = file.blobs.iter().collect();
        // An uncompressed tar first, then what was there first.
        forms.sort_by_key(|form| form.descriptor.digest() != file.diff_id.digest());
        for form in forms {
            let (digest, blobs) = (form.descriptor.digest(), self.store.blobs());
            if !blobs.is_here(digest)? {
                continue;
            }
            if blobs.size(digest)? == Some(form.descriptor.size()) {
                return Ok(Some(form.clone()));
            }
            // Cut short since it was written: it is had or made again.
            blobs.remove(digest)?;
        }
        Ok(None)
    }

    /// The tree, if this process has seen that it can be believed and it is still in its place. Every step of a build
    /// asks for the trees of all steps before it.
    pub(crate) fn remembered_tree(&self, diff_id: &DiffId) -> Result<Option<PathBuf>, FileError> {
        self.store.hold(Held::layer(diff_id))?;
        let known =
            self.store.known_trees().0.lock().unwrap_or_else(PoisonError::into_inner).contains(diff_id);
        Ok(Some(self.dir(diff_id).join("tree")).filter(|tree| known && tree.symlink_metadata().is_ok()))
    }

    /// Remembers that the tree can be believed.
    pub(crate) fn remember_tree(&self, diff_id: &DiffId) -> PathBuf {
        self.store.known_trees().0.lock().unwrap_or_else(PoisonError::into_inner).insert(diff_id.clone());
        self.dir(diff_id).join("tree")
    }

    /// Takes that back.
    pub(crate) fn forget_tree(&self, diff_id: &DiffId) {
        self.store.known_trees().0.lock().unwrap_or_else(PoisonError::into_inner).remove(diff_id);
    }

    /// Whether the tree that holds for every chain is here.
    pub(crate) fn trusts_tree(&self, file: &LayerFile) -> bool {
        file.tree.as_ref().is_some_and(|tree| self.store.boot().trusts(&tree.stamp))
            && self.dir(&file.diff_id).join("tree").symlink_metadata().is_ok()
    }
}

/// The tar of a tree as a stream: it is written on a thread of its own, which ends with the stream.
pub(super) fn stream_tree(tree: TreeReader) -> impl Read + Send {
    let (mut writer, reader) = chunks();
    std::thread::spawn(move || match write_tar(tree, &mut writer) {
        // A reader that left early has no use for an error.
        Ok(_) => drop(writer.finish()),
        Err(error) => writer.fail(io::Error::other(error)),
    });
    reader
}

/// A tar that is hashed as it is read, and that ends in an error if it is not the layer it should be.
pub(super) struct VerifiedTar<R> {
    inner: R,
    expected: DiffId,
    hash: Option<Sha256>,
}

impl<R: Read> VerifiedTar<R> {
    pub(super) fn new(inner: R, expected: &DiffId) -> VerifiedTar<R> {
        VerifiedTar { inner, expected: expected.clone(), hash: Some(Sha256::new()) }
    }
}

impl<R: Read> Read for VerifiedTar<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        if count > 0 {
            if let Some(hash) = &mut self.hash {
                hash.update(&buffer[..count]);
            }
        } else if !buffer.is_empty()
            && let Some(hash) = self.hash.take()
        {
            let actual = DiffId::from_hash(hash.finalize().into());
            if actual != self.expected {
                let error = LayerError::TreeChanged { diff_id: self.expected.clone(), actual };
                return Err(io::Error::new(io::ErrorKind::InvalidData, error));
            }
        }
        Ok(count)
    }
}
