//! What is asked of a provenance: `mode=max,version=v1,…`, as `--provenance` and a client's attributes have it.

use crate::images::boolean;

/// The name of the file where files are exported.
const FILENAME: &str = "provenance.json";

/// How much is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProvenanceMode {
    /// What the image was made of, without arguments, labels and steps.
    Min,
    /// Everything.
    Max,
}

/// Which version of the vocabulary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlsaVersion {
    /// `v0.2`.
    V02,
    /// `v1`.
    V1,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenanceOptions {
    /// How much.
    pub mode: ProvenanceMode,
    /// In which words.
    pub version: SlsaVersion,
    /// Who builds: a URI that the user chooses.
    pub builder: String,
    /// Whether the user vouches that another build gives the same image.
    pub reproducible: bool,
    /// Whether it goes with images only.
    pub inline_only: bool,
    /// Whether the build fails if not everything that it was made of is known.
    pub complete: bool,
    /// The name of the file where files are exported.
    pub filename: String,
}

/// Why a provenance cannot be made as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProvenanceError {
    /// A key has a value that it cannot have.
    #[error("provenance: {key}={value}: {meant} is meant")]
    Value {
        /// The key.
        key: &'static str,
        /// The value.
        value: String,
        /// What may be written.
        meant: &'static str,
    },
    /// Something is asked for that kiln does not do.
    #[error("provenance: `{key}` is not supported")]
    Key {
        /// The key.
        key: String,
    },
    /// The build used something that nobody can look up.
    #[error("provenance materials are incomplete: the build reads {}", .locals.join(", "))]
    Incomplete {
        /// Directories of the one who builds.
        locals: Vec<String>,
    },
}

impl Default for ProvenanceOptions {
    fn default() -> Self {
        Self {
            mode: ProvenanceMode::Max,
            version: SlsaVersion::V1,
            builder: String::new(),
            reproducible: false,
            inline_only: false,
            complete: false,
            filename: FILENAME.to_owned(),
        }
    }
}

impl ProvenanceOptions {
    /// Reads the fields of such a text. A field without `=` has no value.
    pub fn read<'a>(fields: impl IntoIterator<Item = &'a str>) -> Result<Self, ProvenanceError> {
        let mut options = Self::default();
        for field in fields.into_iter().filter(|field| !field.is_empty()) {
            let (key, value) = field.split_once('=').unwrap_or((field, ""));
            options.set(key, value)?;
        }
        Ok(options)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), ProvenanceError> {
        let wrong = |key, meant| Err(ProvenanceError::Value { key, value: value.to_owned(), meant });
        let flag = |key: &'static str| {
            let error = ProvenanceError::Value { key, value: value.to_owned(), meant: "true or false" };
            boolean(value).ok_or(error)
        };
        match key {
            "mode" => match value {
                "min" => self.mode = ProvenanceMode::Min,
                "max" | "full" => self.mode = ProvenanceMode::Max,
                _ => return wrong("mode", "min or max"),
            },
            "version" => match value {
                "v0.2" => self.version = SlsaVersion::V02,
                "v1" => self.version = SlsaVersion::V1,
                _ => return wrong("version", "v0.2 or v1"),
            },
            // Clients say once more what they ask for.
            "type" if value == "provenance" => {}
            "disabled" if !flag("disabled")? => {}
            "builder-id" => value.clone_into(&mut self.builder),
            "filename" if value.is_empty() || value.contains('/') => {
                return wrong("filename", "the name of a file");
            }
            "filename" => value.clone_into(&mut self.filename),
            "reproducible" => self.reproducible = flag("reproducible")?,
            "inline-only" => self.inline_only = flag("inline-only")?,
            "complete-materials" => self.complete = flag("complete-materials")?,
            "capture-usage" if flag("capture-usage")? => {
                return Err(ProvenanceError::Key { key: format!("{key}={value}") });
            }
            "capture-usage" => {}
            _ => return Err(ProvenanceError::Key { key: key.to_owned() }),
        }
        Ok(())
    }
}
