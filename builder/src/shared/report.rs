//! What shared caches did for a build and what it cost, as data for whoever shows it.

/// A cache that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheImportReport {
    /// Where it is.
    pub place: String,
    /// Whether it could be read.
    pub is_read: bool,
    /// Steps that it knows.
    pub known: usize,
    /// Steps that it answered.
    pub answered: usize,
    /// Bytes of documents that were fetched.
    pub metadata: u64,
    /// Bytes of layers that were fetched so far.
    pub layers: u64,
}

/// A cache that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheExportReport {
    /// Where it is.
    pub place: String,
    /// Steps in it.
    pub steps: usize,
    /// Layers that were sent, and their bytes.
    pub sent: (usize, u64),
    /// Layers that were there already.
    pub existed: usize,
    /// Cache mounts in it.
    pub mounts: usize,
}
