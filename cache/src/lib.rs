//! Everything content-addressed on disk: blobs, layers, step records, images. Synchronous; used from any number of
//! threads and processes at once; knows nothing of Dockerfiles, registries or sandboxes.
//!
//! # The store on disk
//!
//! ```text
//! ROOT/                         mode 0700: trees hold set-user-id programs of foreign images
//!   format                      "kiln store 1"
//!   synced                      for each boot, until when everything written is known to be on the disk (JSON)
//!   tmp/BOOT-PID-NUMBER         under construction: file or directory, locked by its maker, removed when that is dead
//!   blobs/sha256/HEX            manifests, configurations, layers as tar, gzip or zstd
//!   blobs/stamps/HEX            when that blob was written (JSON)
//!   layers/HEX/                 one directory a layer; HEX is its diff id
//!     info                      size, entries, forms with their stamps (JSON)
//!     tree/                     unpacked: an overlay lower directory (whiteouts are devices 0:0)
//!     tree-KEY/                 unpacked onto one chain of lower layers, where the layer relies on them
//!   records/HH/HEX              what a step gave (JSON with stamp); HEX is its key, HH the first two digits
//!   slots/HH/HEX                key of the record put last for a step, content aside
//!   memos/HH/HEX                bytes remembered under a key: one line of JSON (stamp, length), then the bytes
//!   images/ids/HEX              an image (JSON); HEX is its id
//!   images/names/HEX            a name and the id it points to (JSON); HEX is the digest of the name
//!   indexes/HEX                 stat index (see stat_index.rs)
//!   mounts/HEX/NUMBER/          a cache mount's directory and locks (see mounts.rs)
//!   builds/HEX                  what the last build of a project did, for people (see builds.rs)
//!   locks/HEX, locks/use        files that are locked; what they hold says who holds the lock, for people
//! ```
//!
//! Invariants, each of them what a reader may rely on:
//! - Everything is made in `tmp/` and renamed into place complete; nothing that has a place is ever written to, except
//!   by replacing it. A process killed at any moment leaves garbage in `tmp/` and nothing else.
//! - There is no fsync on the way. What was written in this boot counts at once; what an earlier boot wrote counts only
//!   if it was stamped before that boot's last [`Store::sync`]. What does not count is made again, or, where its name
//!   says what it must be, verified.
//! - A file that cannot be read as what it should be is absent, not an error: it stops no build.
//! - Digests become file names only after they were checked to be sha256 digests.
//! - Nothing is removed while anybody holds [`Store::use_lock`].
//!
//! # What enters a step's key
//!
//! Keys are made by the solver with [`KeyBuilder`]; this is what it puts in, and what it must not.
//!
//! | input | in the key | why |
//! |---|---|---|
//! | RUN: argv (after the shell) | yes | |
//! | RUN: environment: ENV, and ARGs in scope, declared, used or not | yes | scripts read what they want |
//! | RUN: predefined proxy arguments | no | where bytes come from, not what they are |
//! | RUN: working directory, user | yes | |
//! | RUN: mounts: type, target, options | yes | |
//! | RUN: bind mount: tree digest of what is selected | yes | content, so an equal re-run stage is a hit |
//! | RUN: cache mount: contents, what it begins with | no | only id, target and sharing: a cache must not matter |
//! | RUN: secrets and SSH agents | the id, not the value | a rotated secret is not a changed step |
//! | RUN: whether a secret or agent is given that may be missing | no | as its value |
//! | RUN: network and security mode | yes | |
//! | RUN: hostname given to the build | yes | |
//! | RUN: extra hosts' addresses, names in the hosts file | no | as proxies |
//! | RUN: resource limits | no | how fast, not what |
//! | platform | yes | |
//! | root file system: chain of diff ids, bottom first | yes | not how it came about |
//! | COPY, ADD: chain of the root | yes | destination links and owners are looked up in it |
//! | COPY, ADD: tree digest of the sources: paths, types, modes, link targets, contents | yes | |
//! | COPY, ADD: sources' owners | only from a stage or image | a context's files get the instruction's owner |
//! | COPY, ADD: sources' extended attributes | only from a stage or image | as owners |
//! | COPY, ADD: sources' times | no | a fresh checkout is no change |
//! | COPY, ADD: destination, --chown, --chmod, --exclude, --unpack | yes | |
//! | COPY, ADD: where in the context the sources lie | no | the same content moved is the same step |
//! | COPY, ADD with `--link`: the root | only the numbers of named owners | the layer is made on nothing |
//! | ADD of a URL: digest of the body, file name | yes, by way of its tree digest | not the URL, not the server's date |
//! | ADD of a repository: commit, directory, submodules | yes, by way of its tree digest | not the branch or tag |
//! | labels, annotations, ENV before a COPY | no | they change the configuration, not files |
//! | SOURCE_DATE_EPOCH | only if declared | |
//! | HEALTHCHECK, ONBUILD, CMD and other configuration | no step has a key for it | it is recomputed in every build |
//!
//! A [`Record`] keeps the parts of its key, so that a miss can be explained by comparing them with those of the
//! [latest](Records::latest) record of the same slot.

pub mod archive;
mod blobs;
mod boot;
mod builds;
mod digest;
mod disk;
mod error;
mod holder;
mod images;
mod keys;
mod layers;
mod locks;
mod mounts;
mod prune;
mod records;
mod remote;
mod stat_index;
mod store;
mod tarfile;
#[cfg(test)]
mod testing;
mod tmp;
mod view;

pub use blobs::{BlobError, BlobWriter, Blobs};
pub use builds::Builds;
pub use digest::{DiffId, Digest, DigestError, digest_of, digest_of_hash};
pub use error::FileError;
pub use holder::LockHolder;
pub use images::{ImageRecord, Images};
pub use keys::{Key, KeyBuilder, KeyError, Part};
pub use layers::{
    Compression, Content, Draft, Entry, EntryKind, Forms, LayerError, LayerInfo, LayerWriter, Layers, Unpack,
    is_layer_xattr,
};
pub use locks::{KeyLock, UseLock};
pub use mounts::{
    CacheCopy, CacheDirectory, CacheMount, CacheMountError, CacheMounts, CacheName, CacheSeed, CacheSharing,
    TravellingCache,
};
pub use prune::{PruneOptions, PruneReport, Usage};
pub use records::{Record, Records};
pub use remote::{CacheDocument, CacheDocumentError, LayerOrigin, SharedMount, SharedRecord};
pub use stat_index::{Indexes, StatIndex, StatKey};
pub use store::{Store, StoreError};
pub use tarfile::read::TarError;
pub use view::{Node, NodeKind, Resolved, View, ViewError};
