//! What becomes of a layer whose bytes turned out not to be the layer's: every form of it is read and compared, and what is
//! not the layer goes, so that it is fetched or made again.
//!
//! Nothing here runs while all is well: those call it who read a blob or a tar to its end and found it wrong.
//!
//! Not noticed at all are files that were changed in an unpacked tree, by whoever reads them there: a step that runs on it,
//! a container, an export as a directory. They are noticed as soon as the tree has to give the layer's tar; the tree of
//! a foreign layer, whose tar is its blob, never has to.

use std::io;

use crate::blobs::BlobError;
use crate::digest::DiffId;
use crate::layers::forms::VerifiedTar;
use crate::layers::forms::stream_tree;
use crate::layers::info::{BlobForm, LayerFile};
use crate::layers::tree_reader::TreeReader;
use crate::layers::{LayerError, Layers};

impl Layers {
    /// Compares every form of the layer with what it should be, and removes those that are something else. True if there
    /// were any. Reads all of them.
    pub fn drop_damaged(&self, diff_id: &DiffId) -> Result<bool, LayerError> {
        let Some(file) = self.file(diff_id)? else { return Ok(false) };
        let mut damaged = false;
        for form in &file.blobs {
            damaged |= self.drop_damaged_blob(form)?;
        }
        if self.trusts_tree(&file) && file.tree.as_ref().is_some_and(|tree| tree.gives_tar) {
            damaged |= self.drop_damaged_tree(&file)?;
        }
        Ok(self.correct_size(&file)? || damaged)
    }

    fn drop_damaged_blob(&self, form: &BlobForm) -> Result<bool, LayerError> {
        let (digest, blobs) = (form.descriptor.digest(), self.store.blobs());
        match blobs.verify(digest) {
            Err(BlobError::Mismatch { .. }) => {
                blobs.remove(digest)?;
                Ok(true)
            }
            Ok(()) | Err(BlobError::Missing { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The directory stays where it is, for whoever is at work on it: nobody will begin to.
    fn drop_damaged_tree(&self, file: &LayerFile) -> Result<bool, LayerError> {
        let tree = TreeReader::new(&self.dir(&file.diff_id).join("tree"), false)?;
        if io::copy(&mut VerifiedTar::new(stream_tree(tree), &file.diff_id), &mut io::sink()).is_ok() {
            return Ok(false);
        }
        self.forget_tree(&file.diff_id);
        self.update(&file.diff_id, |file| file.tree = None)?;
        Ok(true)
    }

    /// Compares the size that is noted with that of the tar, if there is one.
    fn correct_size(&self, file: &LayerFile) -> Result<bool, LayerError> {
        let mut tar = match self.open_tar(&file.diff_id) {
            Ok(tar) => tar,
            Err(LayerError::Unknown { .. }) => return Ok(false),
            Err(error) => return Err(error),
        };
        // A blob that holds another layer than it is said to is no damage, and is told where it is unpacked.
        let Ok(size) = io::copy(&mut tar, &mut io::sink()) else { return Ok(false) };
        // Nothing is noted of a layer that was never read.
        if file.size == size || file.size == 0 {
            return Ok(false);
        }
        self.update(&file.diff_id, |file| file.size = size)?;
        Ok(true)
    }
}
