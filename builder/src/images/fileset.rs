//! The files of an image as an output: with other times if that is asked for, and with what is stated about them beside them.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};

use kiln_cache::{ImageRecord, NodeKind, View};
use sha2::{Digest as _, Sha256};

use super::{Attestation, ImageError, Subject};

/// Bytes hashed at a time.
const PIECE: usize = 128 << 10;

/// The files of one image.
#[derive(Debug, Clone)]
pub struct FileSet {
    /// The image.
    pub record: ImageRecord,
    /// The time of all files, in seconds; `None` leaves each its own.
    pub time: Option<i64>,
    /// What is stated about the files.
    pub attestations: Vec<Attestation>,
    /// What the names of statements begin with.
    pub prefix: String,
    /// The platform, if the names of statements are to tell it.
    pub platform: Option<String>,
    /// The directory that the files are put in, relative to where they go.
    pub under: PathBuf,
    /// Whether it is an error that there is a file of the same name.
    pub exclusive: bool,
}

/// A statement as a file.
pub(super) type Statement = (String, Vec<u8>);

impl FileSet {
    /// The files of an image as they are.
    pub fn of(record: &ImageRecord) -> Self {
        Self {
            record: record.clone(),
            time: None,
            attestations: Vec::new(),
            prefix: String::new(),
            platform: None,
            under: PathBuf::new(),
            exclusive: false,
        }
    }

    /// The statements about the files that the view shows, each with the name of its file.
    pub(super) fn statements(&self, view: &View) -> Result<Vec<Statement>, ImageError> {
        if self.attestations.is_empty() {
            return Ok(Vec::new());
        }
        let mut subjects = Vec::new();
        hash(view, Path::new("/"), &mut subjects)?;
        let mut names = BTreeSet::new();
        let mut statements = Vec::new();
        for attestation in &self.attestations {
            let name = self.name(&attestation.filename);
            if !names.insert(name.clone()) {
                return Err(ImageError::StatementName { name });
            }
            statements.push((name, format!("{:#}", attestation.statement(&subjects)).into_bytes()));
        }
        Ok(statements)
    }

    /// `provenance.json`, or with its platform `provenance.linux_amd64.json`.
    fn name(&self, filename: &str) -> String {
        let name = format!("{}{filename}", self.prefix);
        let Some(platform) = &self.platform else { return name };
        let platform = platform.replace('/', "_");
        match name.rsplit_once('.') {
            Some((stem, extension)) => format!("{stem}.{platform}.{extension}"),
            None => format!("{name}.{platform}"),
        }
    }
}

/// The regular files below a directory, in order, with their digests.
fn hash(view: &View, directory: &Path, subjects: &mut Vec<Subject>) -> Result<(), ImageError> {
    for (name, node) in view.read_dir(directory)? {
        let path = directory.join(name);
        match node.kind {
            NodeKind::Directory => hash(view, &path, subjects)?,
            NodeKind::File => {
                let failed = |source| ImageError::File { action: "read", path: path.clone(), source };
                let mut content = view.open(&node)?;
                let (mut hasher, mut piece) = (Sha256::new(), vec![0; PIECE]);
                loop {
                    match content.read(&mut piece).map_err(failed)? {
                        0 => break,
                        length => hasher.update(&piece[..length]),
                    }
                }
                let shown = path.strip_prefix("/").unwrap_or(&path).to_string_lossy().into_owned();
                subjects.push((shown, kiln_cache::digest_of_hash(hasher.finalize().into())));
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_of_statements_tell_the_platform_where_that_is_needed() {
        let record = ImageRecord {
            id: kiln_registry::sha256(b"image"),
            manifest: None,
            layers: Vec::new(),
            layer_blobs: Vec::new(),
            origin: None,
            layer_origins: std::collections::BTreeMap::new(),
            platform: "linux/arm64".to_owned(),
            created: None,
            size: 0,
        };
        let plain = FileSet { prefix: "of-".to_owned(), ..FileSet::of(&record) };
        assert_eq!(plain.name("provenance.json"), "of-provenance.json");
        let several = FileSet { platform: Some("linux/arm64".to_owned()), ..plain };
        assert_eq!(several.name("provenance.json"), "of-provenance.linux_arm64.json");
        assert_eq!(several.name("said"), "of-said.linux_arm64");
    }
}
