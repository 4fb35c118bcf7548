//! The flags of `kiln serve`: BuildKit's daemon's own names, so that unit files and scripts keep working.
//!
//! A binary that is called `buildkitd` takes these flags without a command before them. What they mean is decided in
//! [`crate::commands`], together with the configuration file.

mod unused;

use std::path::PathBuf;

use clap::{Args, Parser};

pub use unused::UnusedFlags;

/// The name under which the binary is BuildKit's daemon.
pub const DAEMON: &str = "buildkitd";

/// Serve BuildKit's clients.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "`--config FILE` names a buildkitd.toml here, not docker's configuration.\n\
                  All other flags of buildkitd are accepted; the log says which of them mean nothing here.\n\n\
                  Clients: buildctl --addr unix:///run/kiln/buildkitd.sock build …\n\
                  docker buildx create --driver remote unix:///run/kiln/buildkitd.sock\n\n\
                  Called as `buildkitd`, kiln takes these flags without a command, reads /etc/buildkit/buildkitd.toml, and \
                  listens at unix:///run/buildkit/buildkitd.sock.")]
pub struct ServeFlags {
    /// Where to listen: unix:///PATH, tcp://HOST:PORT, or fd:// for systemd's sockets; may be repeated
    /// [default: unix:///run/kiln/buildkitd.sock; as `buildkitd` unix:///run/buildkit/buildkitd.sock]
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    pub addr: Vec<String>,
    /// Group, by name or number, that may use the sockets of unix:// addresses
    #[arg(long, value_name = "GROUP")]
    pub group: Option<String>,
    /// Certificate for tcp:// addresses (PEM)
    #[arg(long, value_name = "FILE")]
    pub tlscert: Option<PathBuf>,
    /// Key of the certificate (PEM)
    #[arg(long, value_name = "FILE")]
    pub tlskey: Option<PathBuf>,
    /// Authority whose clients alone may come in over tcp:// (PEM)
    #[arg(long, value_name = "FILE")]
    pub tlscacert: Option<PathBuf>,
    /// What clients may grant their builds: network.host, security.insecure, device; may be repeated
    #[arg(long, value_name = "ENTITLEMENT", value_delimiter = ',')]
    pub allow_insecure_entitlement: Vec<String>,
    /// Steps that may be executed at once, over all builds [default: the cores, or KILN_JOBS]
    #[arg(long, value_name = "NUMBER")]
    pub oci_max_parallelism: Option<String>,
    /// Make room in the store by itself (default); =false leaves that to `kiln prune`
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub oci_worker_gc: Option<bool>,
    /// Room to keep: RESERVED, or RESERVED,FREE, or RESERVED,FREE,MAXIMUM, each in MB or as a share of the disk (10%)
    #[arg(long, value_name = "AMOUNTS")]
    pub oci_worker_gc_keepstorage: Option<String>,
    /// What the worker is said to be; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_delimiter = ',')]
    pub oci_worker_labels: Vec<String>,
    /// Platforms that clients are told of; may be repeated
    #[arg(long, value_name = "PLATFORM", value_delimiter = ',')]
    pub oci_worker_platform: Vec<String>,
    /// The only worker there is: false is an error
    #[arg(long, hide = true, value_name = "WHEN")]
    pub oci_worker: Option<String>,
    /// An error: nothing enforces it
    #[arg(long, hide = true, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub proxy_network: Option<String>,
    /// Let no step have a device
    #[arg(long)]
    pub cdi_disabled: bool,
    /// Directory of device descriptions (CDI); may be repeated
    #[arg(long, value_name = "DIR", value_delimiter = ',')]
    pub cdi_spec_dir: Vec<PathBuf>,
    /// Tell of each build in the log
    #[arg(long)]
    pub debug: bool,
    /// The same
    #[arg(long, hide = true)]
    pub trace: bool,
    /// debug and trace tell of each build [env: BUILDKITD_LOG_LEVEL]
    #[arg(long, hide = true, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// How the log is written: text or json
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<String>,
    /// Flags that mean nothing here.
    #[command(flatten)]
    pub unused: UnusedFlags,
    /// The binary was called as BuildKit's daemon.
    #[arg(skip)]
    pub as_buildkitd: bool,
}

/// kiln under the name of BuildKit's daemon: serves its clients.
#[derive(Debug, Parser)]
#[command(name = DAEMON, version, args_override_self = true)]
pub struct DaemonLine {
    /// Directory of the store (images, layers, cache); also KILN_ROOT
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// Configuration file [default: /etc/buildkit/buildkitd.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Everything else.
    #[command(flatten)]
    pub serve: ServeFlags,
}
