//! What a cache mount is called: the user's id, and everything that makes it another cache under the same id.
//!
//! The solver names caches with it, `kiln cache` shows it, and a cache that travels carries it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::digest::DiffId;
use crate::keys::{Key, KeyBuilder};

/// The name of a cache mount. What it begins as is part of it: a step that wants another seed, mode or owner wants
/// another cache.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheName {
    /// Whose ids these are; empty unless a build asks for a namespace.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// The user's id; by default the target's path.
    pub id: String,
    /// It begins as a copy of a part of a layer; empty otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<CacheSeed>,
    /// Mode, user and group of the directory itself, if not the seed's, or 0755 and root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<(u32, u32, u32)>,
}

/// What a cache begins as.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheSeed {
    /// The layer, which holds nothing but that.
    pub layer: DiffId,
    /// The directory in it.
    pub part: PathBuf,
}

impl CacheName {
    /// The cache of that id in no namespace, which begins empty.
    pub fn new(id: impl Into<String>) -> CacheName {
        CacheName { id: id.into(), ..CacheName::default() }
    }

    /// What its directory is called: ids are the user's, and never a path.
    pub fn key(&self) -> Key {
        let mut key = KeyBuilder::new("cache mount").part("namespace", &self.namespace).part("id", &self.id);
        if let Some(CacheSeed { layer, part }) = &self.seed {
            key = key.part("seed", layer.to_string()).part("part", part.as_os_str().as_encoded_bytes());
        }
        if let Some((mode, uid, gid)) = self.access {
            key = key.part("access", format!("{mode:o} {uid}:{gid}"));
        }
        key.finish().0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn everything_in_a_name_makes_another_cache() {
        let plain = CacheName::new("i");
        let seed = |part: &str| CacheSeed { layer: DiffId::from_hash([1; 32]), part: part.into() };
        let names = [
            plain.clone(),
            CacheName::new("j"),
            CacheName { namespace: "n".into(), ..plain.clone() },
            CacheName { seed: Some(seed("a")), ..plain.clone() },
            CacheName { seed: Some(seed("b")), ..plain.clone() },
            CacheName { access: Some((0o755, 0, 0)), ..plain.clone() },
            CacheName { access: Some((0o755, 0, 1)), ..plain },
        ];
        let keys: std::collections::BTreeSet<Key> = names.iter().map(CacheName::key).collect();
        assert_eq!(keys.len(), names.len());
        for name in names {
            let text = serde_json::to_string(&name).unwrap();
            assert_eq!(serde_json::from_str::<CacheName>(&text).unwrap(), name);
        }
    }

    #[test]
    fn keys_of_today_are_keys_of_tomorrow() {
        let (key, _) =
            KeyBuilder::new("cache mount").part("namespace", "").part("id", "/root/.cache").finish();
        assert_eq!(CacheName::new("/root/.cache").key(), key);
    }
}
