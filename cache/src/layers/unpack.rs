//! Unpacks layers into trees, each into its own, several at a time; once, however many ask for it.
//!
//! A layer that turns out to rely on its lower layers is unpacked again when they are there.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use sha2::{Digest as _, Sha256};

use crate::blobs::BlobError;
use crate::digest::DiffId;
use crate::error::At;
use crate::layers::applier::{Applied, Applier, Rules};
use crate::layers::draft::put_tree;
use crate::layers::info::{BlobForm, LayerFile, TreeForm, chain_key};
use crate::layers::tree_writer::TreeWriter;
use crate::layers::{LayerError, Layers};
use crate::tarfile::read::TarError;
use crate::view::View;

/// Bytes of the tar that are unpacked, hashed and looked at together.
const TAR_BUFFER: usize = 256 * 1024;

/// Layers unpacked at a time at most. Each has threads of its own and some megabytes of buffers.
const AT_ONCE: usize = 4;

/// What came out of unpacking one layer without looking at others.
type Outcome = Result<Option<PathBuf>, LayerError>;

impl Layers {
    /// The layer's tree, unpacked now if it was not yet. A layer that relies on lower ones needs
    /// [`Layers::ensure_trees`].
    pub fn ensure_tree(&self, diff_id: &DiffId) -> Result<PathBuf, LayerError> {
        let mut trees = self.ensure_trees(std::slice::from_ref(diff_id))?;
        trees.pop().ok_or_else(|| LayerError::Unknown { diff_id: diff_id.clone() })
    }

    /// The trees of a chain, bottom first, each unpacked now if it was not yet.
    pub fn ensure_trees(&self, chain: &[DiffId]) -> Result<Vec<PathBuf>, LayerError> {
        let mut trees = Vec::with_capacity(chain.len());
        for (index, diff_id) in chain.iter().enumerate() {
            trees.push(self.known_tree(&chain[..index], diff_id)?);
        }
        let missing: Vec<&DiffId> =
            chain.iter().zip(&trees).filter(|(_, tree)| tree.is_none()).map(|(diff_id, _)| diff_id).collect();
        let unpacked = self.unpack_together(missing)?;
        let mut done = Vec::with_capacity(chain.len());
        for (index, (diff_id, tree)) in chain.iter().zip(trees).enumerate() {
            let tree = match tree.or_else(|| unpacked.get(diff_id).cloned().flatten()) {
                Some(tree) => tree,
                None => self.unpack_on(&chain[..index], &done, diff_id)?,
            };
            done.push(tree);
        }
        Ok(done)
    }

    /// The tree of a layer on these lower layers, if it is here.
    fn known_tree(&self, lowers: &[DiffId], diff_id: &DiffId) -> Result<Option<PathBuf>, LayerError> {
        if let Some(tree) = self.remembered_tree(diff_id)? {
            return Ok(Some(tree));
        }
        let Some(file) = self.file(diff_id)? else {
            return Err(LayerError::Unknown { diff_id: diff_id.clone() });
        };
        if self.trusts_tree(&file) {
            return Ok(Some(self.remember_tree(diff_id)));
        }
        if file.bound.is_empty() {
            return Ok(None);
        }
        let key = chain_key(lowers).to_string();
        let trusted = file.bound.get(&key).is_some_and(|stamp| self.store.boot().trusts(stamp));
        Ok(trusted.then(|| self.dir(diff_id).join(format!("tree-{key}"))))
    }

    /// Unpacks layers beside one another; nothing for those that rely on others.
    fn unpack_together(
        &self,
        mut missing: Vec<&DiffId>,
    ) -> Result<BTreeMap<DiffId, Option<PathBuf>>, LayerError> {
        missing.sort();
        missing.dedup();
        let next = AtomicUsize::new(0);
        let outcomes: Mutex<Vec<(DiffId, Outcome)>> = Mutex::new(Vec::new());
        let work = || {
            while let Some(diff_id) = missing.get(next.fetch_add(1, Ordering::Relaxed)) {
                let outcome = self.unpack_alone(diff_id);
                let failed = outcome.is_err();
                outcomes.lock().unwrap_or_else(PoisonError::into_inner).push(((*diff_id).clone(), outcome));
                if failed {
                    next.store(missing.len(), Ordering::Relaxed);
                }
            }
        };
        let threads =
            thread::available_parallelism().map_or(1, usize::from).clamp(1, AT_ONCE).min(missing.len());
        thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(work);
            }
            work();
        });
        let outcomes = outcomes.into_inner().unwrap_or_else(PoisonError::into_inner);
        outcomes.into_iter().map(|(diff_id, outcome)| Ok((diff_id, outcome?))).collect()
    }

    fn unpack_alone(&self, diff_id: &DiffId) -> Outcome {
        let _lock = self.work_lock("layer tree", diff_id)?;
        let Some(file) = self.file(diff_id)? else {
            return Err(LayerError::Unknown { diff_id: diff_id.clone() });
        };
        let place = self.dir(diff_id).join("tree");
        if self.trusts_tree(&file) {
            // Another one has done it while this one waited.
            return Ok(Some(place));
        }
        match self.unpack_to(&file, None, &place) {
            Ok(applied) => {
                let stamp = self.store.boot().stamp();
                self.update(diff_id, |file| {
                    (file.size, file.entries) = (applied.size, applied.entries);
                    file.tree = Some(TreeForm { stamp, gives_tar: false });
                })?;
                Ok(Some(place))
            }
            Err(error) if needs_lower(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Unpacks a layer that relies on the ones below it.
    fn unpack_on(
        &self,
        lowers: &[DiffId],
        trees: &[PathBuf],
        diff_id: &DiffId,
    ) -> Result<PathBuf, LayerError> {
        let _lock = self.work_lock("layer tree", diff_id)?;
        if let Some(tree) = self.known_tree(lowers, diff_id)? {
            return Ok(tree);
        }
        let Some(file) = self.file(diff_id)? else {
            return Err(LayerError::Unknown { diff_id: diff_id.clone() });
        };
        let key = chain_key(lowers).to_string();
        let place = self.dir(diff_id).join(format!("tree-{key}"));
        let view = View::new(trees)?;
        let applied = self.unpack_to(&file, Some(&view), &place)?;
        let stamp = self.store.boot().stamp();
        self.update(diff_id, |file| {
            (file.size, file.entries) = (applied.size, applied.entries);
            file.bound.insert(key, stamp);
        })?;
        Ok(place)
    }

    fn unpack_to(
        &self,
        file: &LayerFile,
        lower: Option<&View>,
        place: &std::path::Path,
    ) -> Result<Applied, LayerError> {
        let Some(form) = self.present_blob(file)? else {
            return Err(LayerError::Unknown { diff_id: file.diff_id.clone() });
        };
        let dir = self.store.tmp().directory()?;
        let base = dir.path().join("tree");
        std::fs::create_dir(&base).at("create", &base)?;
        let tree = TreeWriter::new(&base)?;
        let applied = self.apply_blob(file, &form, tree, lower);
        // Beside lower layers, what seems to rely on them is unpacked on top of them next.
        let applied = applied.map_err(|error| match error {
            error if lower.is_none() && needs_lower(&error) => error,
            error => self.unless_damaged(&form, error),
        })?;
        put_tree(self, &base, place)?;
        self.store.wrote(applied.size);
        Ok(applied)
    }

    /// A blob whose bytes are not those that it is named for is no form of anything: it goes, and that is the error.
    fn unless_damaged(&self, form: &BlobForm, error: LayerError) -> LayerError {
        let (digest, blobs) = (form.descriptor.digest(), self.store.blobs());
        if !matches!(blobs.verify(digest), Err(BlobError::Mismatch { .. })) {
            return error;
        }
        match blobs.remove(digest) {
            Ok(()) => LayerError::Damaged { blob: digest.clone() },
            Err(error) => error.into(),
        }
    }

    fn apply_blob(
        &self,
        file: &LayerFile,
        form: &BlobForm,
        tree: TreeWriter,
        lower: Option<&View>,
    ) -> Result<Applied, LayerError> {
        let hashed = Hashed { inner: self.open_blob(form)?, hash: Sha256::new(), size: 0 };
        let mut tar = BufReader::with_capacity(TAR_BUFFER, hashed);
        let rules = Rules { at: b"", owner: None, lower, whiteouts: true };
        let result = Applier::new(tree, rules).apply(&mut tar);
        if let Err(error @ LayerError::NeedsLower { .. }) = result {
            return Err(error);
        }
        // What follows the archive's end counts too. And whatever was wrong with the tar: if these are not the
        // layer's bytes, that is what to say.
        let drained = io::copy(&mut tar, &mut io::sink());
        let Hashed { hash, size, .. } = tar.into_inner();
        let (diff_id, blob) = (file.diff_id.clone(), form.descriptor.digest().clone());
        let actual = DiffId::from_hash(hash.finalize().into());
        if drained.is_ok() && actual != diff_id {
            return Err(LayerError::Mismatch { diff_id, blob, actual });
        }
        let drained = drained.map_err(|error| LayerError::Tar(TarError::Read(error)));
        let entries = result.and_then(|entries| drained.map(|_| entries));
        let entries =
            entries.map_err(|source| LayerError::Unpack { diff_id, blob, source: Box::new(source) })?;
        Ok(Applied { size, entries })
    }
}

fn needs_lower(error: &LayerError) -> bool {
    matches!(error, LayerError::NeedsLower { .. })
}

/// Hashes what is read through it.
struct Hashed<R> {
    inner: R,
    hash: Sha256,
    size: u64,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hash.update(&buffer[..count]);
        self.size += count as u64;
        Ok(count)
    }
}
