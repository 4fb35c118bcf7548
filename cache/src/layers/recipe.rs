//! How a layer is compressed, and which blobs that are here already will do. Used by [`super::compress`].

use crate::layers::Compression;

/// Levels: what others choose by default.
const GZIP_LEVEL: i32 = 6;
const ZSTD_LEVEL: i32 = 3;
/// The level at which gzip tries hardest.
const GZIP_SMALLEST: i32 = 9;

/// The compressors' versions, and how the tar is cut. A blob made by another version is still a valid form.
const GZIP_MAKER: &str = "zlib-rs 0.6, blocks of 1 MiB";
const STORED: &str = ", dense ones stored";
const ZSTD_MAKER: &str = "libzstd 1.5, frames of 1 MiB";

/// A compressor with everything that decides over its output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Recipe {
    /// Which.
    pub(super) compression: Compression,
    /// How hard it tries.
    pub(super) level: i32,
}

impl Recipe {
    /// At that level, or at the usual one.
    pub(super) fn new(compression: Compression, level: Option<i32>) -> Recipe {
        let level = match compression {
            Compression::None => 0,
            Compression::Gzip => level.unwrap_or(GZIP_LEVEL),
            Compression::Zstd => level.unwrap_or(ZSTD_LEVEL),
        };
        Recipe { compression, level }
    }

    /// Whether blocks that hardly get smaller are stored as they are: not where the smallest blob is wanted, whatever it takes.
    pub(super) fn stores_dense_blocks(self) -> bool {
        self.compression == Compression::Gzip && (1..GZIP_SMALLEST).contains(&self.level)
    }

    /// What a blob's maker begins with: the same for all versions of the compressor.
    fn name(self) -> Option<String> {
        match self.compression {
            Compression::None => None,
            Compression::Gzip => Some(format!("gzip {},", self.level)),
            Compression::Zstd => Some(format!("zstd {},", self.level)),
        }
    }

    /// What is noted of a blob that is made so.
    pub(super) fn maker(self) -> Option<String> {
        let version = if self.compression == Compression::Zstd { ZSTD_MAKER } else { GZIP_MAKER };
        let stored = if self.stores_dense_blocks() { STORED } else { "" };
        self.name().map(|name| format!("{name} {version}{stored}"))
    }

    /// Whether a blob of this kind is what is wanted: not one that was made here at another level, because which of them is
    /// here depends on what was asked for before.
    pub(super) fn accepts(self, maker: Option<&str>) -> bool {
        maker.zip(self.name()).is_none_or(|(maker, name)| maker.starts_with(&name))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn blobs_of_another_level_will_not_do() {
        let usual = Recipe::new(Compression::Gzip, None);
        let best = Recipe::new(Compression::Gzip, Some(9));
        assert_eq!(usual, Recipe::new(Compression::Gzip, Some(6)));
        assert!(usual.accepts(None) && best.accepts(None), "what came from elsewhere is used as it is");
        assert!(usual.accepts(Some("gzip 6, an older version")));
        assert!(!usual.accepts(best.maker().as_deref()) && !best.accepts(usual.maker().as_deref()));
        assert!(Recipe::new(Compression::None, Some(9)).accepts(None));
    }
}
