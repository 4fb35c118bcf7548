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
//!   memos/HH/HEX                bytes remembered under a key: one line of JSON (stamp, length, checksum), then the bytes
//!   images/ids/HEX              an image (JSON); HEX is its id
//!   images/names/HEX            a name and the id it points to (JSON); HEX is the digest of the name
//!   indexes/HEX                 stat index (see stat_index.rs)
//!   mounts/HEX/NUMBER/          a cache mount's directory and locks; name beside it (see mounts.rs)
//!   builds/HEX                  what the last build of a project did, for people (see builds.rs)
//!   leases/BOOT-PID-NUMBER      layers, blobs and images that a living process relies on (see lease.rs)
//!   evicted                     which records were removed to make room, and when (see gc/evicted.rs)
//!   sizes                       what layers and cache mounts take on disk, as found last (see gc/sizes.rs)
//!   locks/HEX                   files that are locked; what they hold says who holds the lock, for people
//!   locks/gate, locks/gc        held by who removes things: for moments, and all the time that it is at it
//! ```
//!
//! Invariants, each of them what a reader may rely on:
//! - Everything is made in `tmp/` and renamed into place complete; nothing that has a place is ever written to, except
//!   by replacing it. A process killed at any moment leaves garbage in `tmp/` and nothing else.
//! - There is no fsync on the way. What was written in this boot counts at once; what an earlier boot wrote counts only
//!   if it was stamped before that boot's last [`Store::sync`]. What does not count is made again, or, where its name
//!   says what it must be, verified.
//! - A file that cannot be read as what it should be is absent, not an error: it stops no build.
//! - Bytes that change later, on a bad disk or by somebody's hand: documents and blobs are compared with their digests when
//!   they are unpacked and when they leave the store, the tar of a tree likewise; indexes and memos have checksums. What
//!   is wrong is removed, and then fetched or made again, or told ([`Layers::drop_damaged`]). What is not noticed: a file
//!   that was changed in an unpacked tree, by those who read it in place (steps, containers, exports as files).
//! - Digests become file names only after they were checked to be sha256 digests.
//! - What a process looked up while it holds [`Store::use_lock`] is not removed before it lets go of that: it is in its
//!   lease before it is looked at, and who removes things reads the leases with the gate closed.
//! - What the name of an image leads to is not removed, unless only builds asked for that name. What refers to something
//!   goes before it: nothing that is left leads nowhere.
//! - When something was used last is the modification time of its record (of an image's, of a cache mount's lock): a clock
//!   that jumps changes the order in which things go, and nothing else. No cache hit depends on the wall clock.
//!
//! # What enters a step's key
//!
//! Keys are made by the solver with [`KeyBuilder`]; this is what it puts in, and what it must not.
//!
//! | input | in the key | why |
//! |---|---|---|
//! | RUN: the command, after the shell | yes | |
//! | RUN: environment: ENV, and ARGs in scope, declared, used or not | yes | scripts read what they want |
//! | RUN: predefined proxy arguments | no | where bytes come from, not what they are |
//! | RUN: working directory, user | yes | |
//! | RUN: platform of the image that the root began as | yes | not the target's: tools are shared between targets |
//! | RUN: scripts of here-documents | yes | |
//! | RUN: mounts: type, target, options | yes | |
//! | RUN: bind mount: tree digest of what is selected | yes | content, so an equal re-run stage is a hit |
//! | RUN: cache mount: what is in it | no | a cache must not matter |
//! | RUN: cache mount: what it begins with: tree digest | yes | a command may rely on finding it |
//! | RUN: secrets and SSH agents | the id, not the value | a rotated secret is not a changed step |
//! | RUN: whether a secret or agent is given that may be missing | no | as its value |
//! | RUN: network and security mode | yes | |
//! | RUN: devices: the names asked for, and whether they are needed | yes | |
//! | RUN: which devices those are on this machine, what their descriptions give | no | as BuildKit: a driver's update is not a changed step |
//! | RUN: host name given to the build | yes | |
//! | RUN: limits given to the build (`--ulimit`), the size of its shared memory (`--shm-size`) | yes | as BuildKit; without them they add nothing to the key |
//! | RUN: what the machine lends: resolver, hosts file, its limits | no | how and where, not what |
//! | RUN: the root: chain of diff ids, bottom first, but those of layers without entries | yes | not how it came about |
//! | COPY, ADD: the root, likewise | yes | destination links, owners and directories are looked up in it |
//! | COPY, ADD: tree digest of the sources: paths, types, modes, link targets, devices, contents | yes | |
//! | COPY, ADD: extended attributes of the sources that a layer keeps | yes | they are copied |
//! | COPY, ADD: which sources are hard links of each other | within a match | so they are copied |
//! | COPY, ADD: sources' owners | only from a stage or image | a context's files get the instruction's owner |
//! | COPY, ADD: sources' times | no | a fresh checkout is no change |
//! | COPY, ADD: sockets, the mode of the context's directory | no | they are not copied |
//! | COPY, ADD: what no source takes, ignore rules and `--exclude` that leave the same files | no | |
//! | COPY, ADD: destination, number of sources, --chown, --chmod, --parents, --unpack | yes | |
//! | COPY, ADD: where in the context the sources lie | no | the same content moved is the same step |
//! | COPY, ADD: files that stand in the Dockerfile: names and contents, variables expanded | yes | |
//! | COPY, ADD with `--link`: the root | only the numbers of named owners | the layer is made on nothing |
//! | ADD of a URL: digest of the body, file name | yes, by way of its tree digest | not the URL, not the server's date |
//! | ADD of a repository: commit, directory, submodules | yes, by way of its tree digest | not the branch or tag |
//! | contexts by name, images of OCI layouts: where they come from | no | the same files are the same step, whoever has them |
//! | WORKDIR: path, owner and mode of what is made, the root | yes | |
//! | client's graphs: copies by path: tree digest and names of what is taken, and every rule of how it lands | yes | |
//! | client's graphs: files, directories and links made or removed: all that is said of them, the root | yes | |
//! | client's graphs: command: whether its root is kept, forgotten or read-only, exit codes, names of extra hosts, limits | yes | addresses are not |
//! | client's graphs: what a command leaves in a mount: the command's key and layer, what the mount began as | yes | |
//! | client's graphs: difference: both chains of diff ids | yes | times of files are part of it |
//! | client's graphs: merge, and what only waits for others | no step has a key for it | it is a chain of layers |
//! | labels, annotations, names of stages, comments, ENV before a COPY | no | they change the configuration, not files |
//! | SOURCE_DATE_EPOCH | only if declared | |
//! | HEALTHCHECK, ONBUILD, CMD and other configuration | no step has a key for it | it is recomputed in every build |
//!
//! The end-to-end tests (`key_table.rs`) have a change that hits and one that misses for each row.
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
mod gc;
mod holder;
mod images;
mod keys;
mod layers;
mod lease;
mod locks;
mod mounts;
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
pub use gc::{Item, ItemKind, PruneOptions, PruneReport, Selection};
pub use holder::LockHolder;
pub use images::{ImageRecord, Images};
pub use keys::{Key, KeyBuilder, KeyError, Part};
pub use layers::{
    Compression, Content, Draft, Entry, EntryKind, Forms, LayerError, LayerInfo, LayerWriter, Layers, Unpack,
    is_layer_xattr,
};
pub use lease::UseLock;
pub use locks::KeyLock;
pub use mounts::{
    CacheCopy, CacheDirectory, CacheMount, CacheMountError, CacheMounts, CacheName, CacheSeed, CacheSharing,
    TravellingCache,
};
pub use records::{Record, Records};
pub use remote::{CacheDocument, CacheDocumentError, LayerOrigin, SharedMount, SharedRecord};
pub use stat_index::{Indexes, StatIndex, StatKey};
pub use store::{Store, StoreError};
pub use tarfile::read::TarError;
pub use view::{Node, NodeKind, Resolved, View, ViewError, is_same_tree};
