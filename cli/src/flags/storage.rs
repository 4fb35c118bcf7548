//! Flags of the commands that look at what the store takes on disk, and make room.
//!
//! What they mean is decided in the files of the same names under [`crate::commands`].

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `kiln prune [OPTIONS]`.
#[derive(Debug, Clone, Default, Args)]
#[command(
    after_help = "`--keep-storage SIZE` removes what was used least recently until the store takes no more than SIZE.\n\
    Nothing that a running build relies on and nothing that a named image needs is removed. With `--all`, `--filter`, \
    `--older-than` or `--keep-storage`, images that only a build pulled count as cache."
)]
pub struct PruneFlags {
    /// Remove the build cache, cache mounts and untagged images too, not just what nothing refers to
    #[arg(short, long)]
    pub all: bool,
    /// Remove only what matches: until=DURATION|TIME, unused-for=DURATION, type=TYPE, id=ID, shared=BOOL, description=TEXT
    #[arg(long, value_name = "KEY=VALUE")]
    pub filter: Vec<String>,
    /// Remove only what was not used for so long (24h, 7d)
    #[arg(long, value_name = "DURATION")]
    pub older_than: Option<String>,
    /// Do not ask first
    #[arg(short, long)]
    pub force: bool,
    /// Accepted for old scripts: volumes and builders are not kiln's
    #[arg(long, hide = true)]
    pub volumes: bool,
}

/// `kiln du [OPTIONS]`.
#[derive(Debug, Clone, Default, Args)]
pub struct DiskUsageFlags {
    /// Tell everything that is known of each item
    #[arg(short, long)]
    pub verbose: bool,
    /// Format output: table, json, or a template such as '{{.ID}} {{.Size}}'
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Only what matches: until=DURATION|TIME, unused-for=DURATION, type=TYPE, id=ID, inuse=BOOL, shared=BOOL,
    /// description=TEXT
    #[arg(long, value_name = "KEY=VALUE")]
    pub filter: Vec<String>,
    /// Don't truncate output
    #[arg(long)]
    pub no_trunc: bool,
}

/// `kiln system df [OPTIONS]`.
#[derive(Debug, Clone, Default, Args)]
pub struct SummaryFlags {
    /// Tell each item, as `kiln du` does
    #[arg(short, long)]
    pub verbose: bool,
    /// Format output: table, json, or a template such as '{{.Type}} {{.Size}}'
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
}

/// `kiln cache …`.
#[derive(Debug, Clone, Subcommand)]
pub enum CacheCommand {
    /// List cache mounts
    #[command(visible_alias = "list")]
    Ls(CacheListFlags),
    /// Remove cache mounts
    #[command(visible_alias = "remove")]
    Rm(CacheRemoveFlags),
    /// Write a cache mount to a tar archive
    Export(CacheExportFlags),
    /// Let a tar archive be a cache mount
    Import(CacheImportFlags),
}

/// `kiln cache ls [OPTIONS]`.
#[derive(Debug, Clone, Default, Args)]
pub struct CacheListFlags {
    /// Only show ids
    #[arg(short, long)]
    pub quiet: bool,
    /// Format output: table, json, or a template such as '{{.ID}} {{.Size}}'
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
}

/// `kiln cache rm [OPTIONS] ID...`.
#[derive(Debug, Clone, Default, Args)]
pub struct CacheRemoveFlags {
    /// Remove every cache mount that no build uses
    #[arg(short, long)]
    pub all: bool,
    /// Do not complain about missing ones
    #[arg(short, long)]
    pub force: bool,
    /// Ids as in `--mount=type=cache,id=ID`, or beginnings of keys
    #[arg(value_name = "ID", required_unless_present = "all")]
    pub ids: Vec<String>,
}

/// `kiln cache export [OPTIONS] ID`.
#[derive(Debug, Clone, Default, Args)]
pub struct CacheExportFlags {
    /// File to write; `.gz` or `.zst` at its end compresses (default: standard output)
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Id as in `--mount=type=cache,id=ID`, or the beginning of a key
    #[arg(value_name = "ID")]
    pub id: String,
}

/// `kiln cache import [OPTIONS] ID`.
#[derive(Debug, Clone, Default, Args)]
pub struct CacheImportFlags {
    /// File to read, compressed or not (default: standard input)
    #[arg(short, long, value_name = "FILE")]
    pub input: Option<PathBuf>,
    /// Refuse an archive that has another digest than this (of the uncompressed tar, as `export` tells it)
    #[arg(long, value_name = "sha256:HEX")]
    pub digest: Option<String>,
    /// Namespace of the id (BUILDKIT_CACHE_MOUNT_NS)
    #[arg(long, value_name = "NAME")]
    pub namespace: Option<String>,
    /// For a mount that has `mode=`: the same
    #[arg(long, value_name = "OCTAL")]
    pub mode: Option<String>,
    /// For a mount that has `uid=`: the same
    #[arg(long, value_name = "NUMBER")]
    pub uid: Option<u32>,
    /// For a mount that has `gid=`: the same
    #[arg(long, value_name = "NUMBER")]
    pub gid: Option<u32>,
    /// Id as in `--mount=type=cache,id=ID`, or the beginning of a key
    #[arg(value_name = "ID")]
    pub id: String,
}
