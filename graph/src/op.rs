//! The operations of a graph: what a step means, without a word of Dockerfile syntax.
//!
//! An [`Op`] is plain data. Two vertices with equal ops and inputs of equal content have equal
//! results, which is what the cache relies on: whatever can change a result must stand in the op or
//! come from an input, and whatever stands in [`crate::Display`] must not.

mod access;
mod files;
mod limit;

use serde::{Deserialize, Serialize};

pub use access::{GitAccess, GitSecret};
pub use files::{MakeDirectory, MakeFile, MakeLink, Remove, Transfer, Wildcards};
pub use limit::{Ulimit, UlimitError};

/// What a vertex does with its inputs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Op {
    /// Brings content in from outside the graph. No inputs.
    Source(Source),
    /// Runs a process. Input 0 is its root file system; the result is that plus one layer. Its mounts show the others.
    Exec(Exec),
    /// Changes files without running a process. Input 0 is the root that is changed; the result is that plus one layer.
    File(FileOp),
    /// Puts the layers of all inputs on top of one another, those of input 0 at the bottom. Makes no layer of its own.
    Merge,
    /// Input 0 as it is, once all other inputs are there, too.
    After,
    /// What leads from input 0 to input 1: the layers that the second has on top of the first or, if it has others, one
    /// layer that makes the one tree of the other.
    Diff,
    /// What the [`Exec`] that is input 0 left in its mount of this number, an [`ExecMount::Output`].
    Output(usize),
}

/// Where content comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// No files, no layers.
    Scratch,
    /// An image's layers.
    Image {
        /// The reference as the user wrote it, variables expanded (`debian:12`). Whoever resolves it normalises it.
        reference: String,
        /// `os/arch[/variant]`.
        platform: String,
        /// The manifest digest (`sha256:…`) that the reference stood for when the graph was made, if it was
        /// resolved by then (bases are; images named only by `COPY --from` may not be).
        digest: Option<String>,
    },
    /// An image of an OCI layout on this machine.
    Layout {
        /// Which.
        image: LayoutImage,
        /// `os/arch[/variant]`.
        platform: String,
    },
    /// A directory tree given to the build.
    Context {
        /// Its name; the build's own context is [`Source::MAIN_CONTEXT`].
        name: String,
        /// Ignore patterns, in order, later ones win; see [`crate::pattern::IgnoreMatcher`].
        ignore: Vec<String>,
    },
    /// One file from a web server: a root file system that holds it as [`Http::filename`], mode 0600, owned by root.
    Http(Http),
    /// The files of one commit of a git repository.
    Git(Git),
}

/// Names an image of an OCI layout.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LayoutImage {
    /// Absolute path of the layout's directory.
    pub directory: String,
    /// The name that it has in the layout's index; `None` where nobody gave one.
    pub tag: Option<String>,
    /// The digest (`sha256:…`) of its manifest or index, which decides.
    pub digest: Option<String>,
}

impl std::fmt::Display for LayoutImage {
    /// As the user of a build writes it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "oci-layout://{}", self.directory)?;
        self.tag.as_ref().map_or(Ok(()), |tag| write!(f, ":{tag}"))?;
        self.digest.as_ref().map_or(Ok(()), |digest| write!(f, "@{digest}"))
    }
}

/// A file on a web server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Http {
    /// `http://…` or `https://…`; may hold credentials, so it is never shown as it is.
    pub url: String,
    /// The name of the file in the result.
    pub filename: String,
    /// `sha256:…` that the content must have.
    pub checksum: Option<String>,
}

/// A commit of a git repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Git {
    /// What git fetches from (`https://…`, `git@host:path`); may hold credentials, so it is never shown as it is.
    pub remote: String,
    /// A branch, a tag, a full name (`refs/…`) or a commit; `None` is what the repository's HEAD says.
    pub reference: Option<String>,
    /// The directory of the repository that becomes the root of the result; `None` is all of it.
    pub subdir: Option<String>,
    /// Whether `.git` stays.
    pub keep_git_dir: bool,
    /// Whether submodules are fetched too.
    pub submodules: bool,
    /// The commit that the reference must stand for; at least its first seven digits.
    pub checksum: Option<String>,
    /// Whether [`checksum`](Self::checksum), a whole name, is fetched without asking what the reference stands for.
    pub by_commit: bool,
    /// Whether files have the time of the fetch and not the commit's.
    pub fetch_times: bool,
    /// How the repository is asked.
    #[serde(default, skip_serializing_if = "GitAccess::is_default")]
    pub access: GitAccess,
}

impl Source {
    /// The name of the context that the build was started with.
    pub const MAIN_CONTEXT: &'static str = "context";
}

/// A process to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exec {
    /// The command and its arguments; never empty.
    pub args: Vec<String>,
    /// The environment in order, names unique, ARGs in scope included as BuildKit does. Proxies are not in it.
    pub env: Vec<(String, String)>,
    /// Predefined proxy variables given to the process but kept out of the cache key.
    pub proxies: Vec<(String, String)>,
    /// `os/arch[/variant]` of the root: that of the image it began as, which need not be the target's.
    pub platform: String,
    /// Absolute working directory inside the root.
    pub cwd: String,
    /// `user[:group]`, names or numbers, as USER says; empty means root.
    pub user: String,
    /// Mounts beside the standard ones.
    pub mounts: Vec<ExecMount>,
    /// Which network the process sees.
    pub network: Network,
    /// How far it is confined.
    pub security: Security,
    /// Devices that it is given.
    pub devices: Vec<Device>,
    /// The host name; `None` means the builder's fixed one.
    pub hostname: Option<String>,
    /// What else is unlike an ordinary step.
    #[serde(default, skip_serializing_if = "ExecRules::is_default")]
    pub rules: ExecRules,
}

/// How an [`Exec`] differs from an ordinary step.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ExecRules {
    /// What becomes of what the process writes to its root.
    pub root: RootChanges,
    /// With which codes it may exit; none means 0 alone.
    pub exit_codes: Vec<i32>,
    /// More hosts that it knows: address and name.
    pub hosts: Vec<(String, String)>,
    /// Limits of what it may use, in [their order](Ulimit::in_order); what is not among them is the machine's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<Ulimit>,
}

impl ExecMount {
    /// Where programs expect memory that they share, in every sandbox.
    pub const SHARED_MEMORY: &'static str = "/dev/shm";

    /// Whether it is memory [there](Self::SHARED_MEMORY).
    pub fn is_shared_memory(&self) -> bool {
        matches!(self, Self::Tmpfs { target, .. } if target.trim_end_matches('/') == Self::SHARED_MEMORY)
    }
}

impl ExecRules {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What becomes of the changes that a process makes to its root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RootChanges {
    /// They are the result's layer.
    #[default]
    Kept,
    /// They are forgotten: the result is the root as it was.
    Forgotten,
    /// They are refused: the result is the root as it was.
    Refused,
}

/// How far an [`Exec`] is kept from the machine that it runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Security {
    /// As far as a container is.
    Sandbox,
    /// It has every privilege that the builder has.
    Insecure,
}

/// A device of the machine that an [`Exec`] asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// A name of the Container Device Interface: `vendor.com/class=name`, `vendor.com/class` (the first of them),
    /// `vendor.com/class=*` (all of them), or what a device says that it is.
    pub name: String,
    /// Whether the process may not run without it.
    pub required: bool,
}

/// A mount of an [`Exec`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExecMount {
    /// A small read-only file whose content stands in the graph (a heredoc script).
    File {
        /// Absolute path inside the root.
        target: String,
        /// The content.
        data: Vec<u8>,
        /// Permission bits.
        mode: u32,
    },
    /// An empty file system in memory.
    Tmpfs {
        /// Absolute path inside the root.
        target: String,
        /// Limit in bytes.
        size: Option<u64>,
    },
    /// Files of an input.
    Bind {
        /// Which input of the vertex; never 0. Its result is a file system.
        input: usize,
        /// What of it: a path relative to its root, in which symlinks are followed beneath that root; `.` is all.
        source: String,
        /// Absolute path inside the root.
        target: String,
        /// Whether writing is refused. What is written otherwise is forgotten at the end.
        read_only: bool,
    },
    /// Files of an input that the process may change; what they have become is a result, taken by [`Op::Output`].
    Output {
        /// Which input of the vertex; never 0. Its result is a file system.
        input: usize,
        /// What of it is shown, as in [`ExecMount::Bind`]. The result is all of it, changed.
        source: String,
        /// Absolute path inside the root.
        target: String,
    },
    /// A directory that outlives the build. What it holds must not matter to the result.
    Cache(CacheMount),
    /// A value that is given to the build and stays in no layer. Its id enters a cache key, never its value.
    Secret {
        /// The name under which the build was given the value.
        id: String,
        /// Absolute path inside the root of the file that holds it; `None` makes no file.
        target: Option<String>,
        /// The variable that holds it.
        env: Option<String>,
        /// Permissions and owner of the file.
        access: Access,
        /// Whether the process may not run without it.
        required: bool,
    },
    /// The socket of an SSH agent of the caller's.
    Ssh {
        /// The name under which the build was given the agent.
        id: String,
        /// Absolute path inside the root.
        target: String,
        /// Permissions and owner of the socket.
        access: Access,
        /// Whether the process may not run without it.
        required: bool,
    },
}

/// A cache mount of an [`Exec`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheMount {
    /// Keeps caches of one name apart; empty for everybody's.
    pub namespace: String,
    /// Names the cache: any text, not a path.
    pub id: String,
    /// Absolute path inside the root.
    pub target: String,
    /// How processes that run at the same time use it.
    pub sharing: Sharing,
    /// Which input of the vertex, a file system of one layer, a new cache begins as a copy of; `None` begins with nothing.
    pub input: Option<usize>,
    /// Relative to that input's root, what of it is copied; without an input, the directory in the cache that is
    /// mounted. `.` is all.
    pub source: String,
    /// Permissions and owner of a new cache's root, if they are not those of [`input`](Self::input) or the default.
    pub access: Option<Access>,
    /// Whether writing is refused.
    pub read_only: bool,
}

/// How processes that run at the same time use a cache mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sharing {
    /// Together.
    Shared,
    /// Each one has its own.
    Private,
    /// One after the other.
    Locked,
}

/// Permission bits and numeric owner of something that is mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// Permission bits.
    pub mode: u32,
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// The network of an [`Exec`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Network {
    /// The host's.
    Host,
    /// Loopback alone.
    None,
}

/// File changes, applied in order; together they make one layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileOp {
    /// The changes.
    pub actions: Vec<FileAction>,
    /// True when the changes are made on an empty root and their layer is put on top of input 0 as it is: what
    /// input 0 holds counts for the names of owners and for nothing else.
    pub link: bool,
}

/// One change of a [`FileOp`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileAction {
    /// Copies files in, with the rules of COPY and ADD.
    Copy(CopyAction),
    /// Makes a directory and the missing ones above it; an existing one stays as it is.
    Mkdir {
        /// Absolute path inside the root; symlinks in it are followed beneath the root.
        path: String,
        /// Permission bits of directories that are made.
        mode: u32,
        /// Their owner; `None` means root.
        owner: Option<Owner>,
    },
    /// Copies files in, with the rules of cp(1).
    Transfer(Transfer),
    /// Writes a file.
    MakeFile(MakeFile),
    /// Makes a directory.
    MakeDirectory(MakeDirectory),
    /// Makes a symlink.
    MakeLink(MakeLink),
    /// Takes something away.
    Remove(Remove),
}

/// COPY or ADD.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyAction {
    /// Which input of the vertex the paths are in. Never 0. `None` when every source is inline.
    pub input: Option<usize>,
    /// What is copied, in order.
    pub sources: Vec<CopySource>,
    /// Absolute destination; a trailing `/` says that it is a directory.
    pub destination: String,
    /// Owner of what is copied. `None` keeps the owner that the source has in a stage or an image; what
    /// comes from a context belongs to root.
    pub owner: Option<Owner>,
    /// Permission bits for what is copied (files and directories); `None` keeps the source's.
    pub mode: Option<ModeChange>,
    /// Patterns of what is left out, relative to each source that is a directory (or to its pivot), matched against
    /// the name of each source that is a file.
    pub excludes: Vec<String>,
    /// True for ADD: a source that is a tar archive (compressed or not) by its content is unpacked.
    pub unpack: bool,
    /// True for what is mounted: a source directory is taken itself, with its mode and owner. Otherwise only what is in it is
    /// copied, and the destination is made like the directories above it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub directories_themselves: bool,
}

/// One source of a [`CopyAction`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CopySource {
    /// A path or pattern (Go's `filepath.Match`), relative to the input's root.
    Path(String),
    /// Files with the directories that they are in, as seen from a pivot.
    Parents {
        /// The directory (or a pattern for several), relative to the input's root, below which paths are kept.
        pivot: String,
        /// A pattern of the ignore language (`**` spans directories), relative to the pivot: what it matches is
        /// taken, with all that is below.
        pattern: String,
    },
    /// A file written in the Dockerfile.
    Inline {
        /// Its file name.
        name: String,
        /// Its content.
        data: Vec<u8>,
    },
}

/// Permission bits to be set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModeChange {
    /// These, whatever the file had (07777).
    Set(u32),
    /// A change of what each file has, in the symbolic language of chmod(1), with a umask of 0; see [`crate::mode`].
    Symbolic(String),
}

/// An owner as written: names are looked up in the target root's own `/etc/passwd` and `/etc/group`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// Name or number; empty means root.
    pub user: String,
    /// Name or number; `None` means: the user's own group if the user was a name, else the user's number.
    pub group: Option<String>,
}
