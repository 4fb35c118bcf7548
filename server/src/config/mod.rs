//! The daemon's configuration file, `buildkitd.toml`: BuildKit's own keys, as far as they mean something here.
//!
//! What is read is data; the command line lays its flags over it. Keys that are not named here (they are meant for parts
//! that kiln does not have, or are misspelt) are handed back by name, so that the log can tell of them. Called by the
//! command line before the daemon starts.

mod amount;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

pub use amount::{Age, AmountError, Space};

/// What the file says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Tell of each build in the log.
    pub debug: bool,
    /// The same.
    pub trace: bool,
    /// The store's directory.
    pub root: Option<PathBuf>,
    /// What clients may grant their builds.
    #[serde(rename = "insecure-entitlements")]
    pub entitlements: Vec<String>,
    /// What the log is like.
    pub log: LogConfig,
    /// Where clients come in.
    pub grpc: GrpcConfig,
    /// Devices for steps.
    pub cdi: DeviceConfig,
    /// What builds.
    pub worker: WorkersConfig,
    /// Registries by host.
    pub registry: BTreeMap<String, RegistryConfig>,
    /// Who answers steps' questions for names.
    pub dns: Option<DnsConfig>,
}

/// `[log]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct LogConfig {
    /// `text`; `json` is not spoken.
    pub format: Option<String>,
    /// `debug` and `trace` tell of each build.
    pub level: Option<String>,
}

/// `[grpc]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct GrpcConfig {
    /// Where to listen.
    pub address: Vec<String>,
    /// The user whose sockets they are.
    pub uid: Option<u32>,
    /// The group whose sockets they are.
    pub gid: Option<u32>,
    /// For TCP.
    pub tls: TlsFiles,
}

/// `[grpc.tls]`: files in PEM.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct TlsFiles {
    /// The daemon's certificate, with those between it and its authority.
    pub cert: Option<PathBuf>,
    /// Its private key.
    pub key: Option<PathBuf>,
    /// The authorities whose clients may come in.
    pub ca: Option<PathBuf>,
}

/// `[cdi]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct DeviceConfig {
    /// No step gets a device.
    pub disabled: bool,
    /// Directories of descriptions.
    #[serde(rename = "specDirs")]
    pub directories: Vec<PathBuf>,
}

/// `[worker]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct WorkersConfig {
    /// The one that kiln is.
    pub oci: WorkerConfig,
}

/// `[worker.oci]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct WorkerConfig {
    /// False is an error: there is no other worker.
    pub enabled: Option<bool>,
    /// What it is said to be, beside what it says of itself.
    pub labels: BTreeMap<String, String>,
    /// Platforms that it is said to build for, the first by default.
    pub platforms: Vec<String>,
    /// Steps at a time.
    #[serde(rename = "max-parallelism")]
    pub max_parallelism: Option<usize>,
    /// Whether room is made at all.
    pub gc: Option<bool>,
    /// Bytes that are kept, by an old name.
    #[serde(rename = "gckeepstorage")]
    pub keep_storage: Option<Space>,
    /// Bytes that are kept in any case.
    #[serde(rename = "reservedSpace")]
    pub reserved: Option<Space>,
    /// Bytes that may be used.
    #[serde(rename = "maxUsedSpace")]
    pub max_used: Option<Space>,
    /// Bytes of the disk that stay free.
    #[serde(rename = "minFreeSpace")]
    pub min_free: Option<Space>,
    /// How room is made, one after another.
    #[serde(rename = "gcpolicy")]
    pub policies: Vec<PolicyConfig>,
}

/// `[[worker.oci.gcpolicy]]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct PolicyConfig {
    /// Also what is the store's own.
    pub all: bool,
    /// What may go: of several, any.
    pub filters: Vec<String>,
    /// Only what was not used for so long.
    #[serde(rename = "keepDuration")]
    pub keep_duration: Option<Age>,
    /// Bytes that are kept, by an old name.
    #[serde(rename = "keepBytes")]
    pub keep_bytes: Option<Space>,
    /// Bytes that are kept in any case.
    #[serde(rename = "reservedSpace")]
    pub reserved: Option<Space>,
    /// Bytes that may be used.
    #[serde(rename = "maxUsedSpace")]
    pub max_used: Option<Space>,
    /// Bytes of the disk that stay free.
    #[serde(rename = "minFreeSpace")]
    pub min_free: Option<Space>,
}

/// `[registry."HOST"]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct RegistryConfig {
    /// Hosts that are asked first, with a path if their repositories are below one.
    pub mirrors: Vec<String>,
    /// It is spoken to without TLS.
    pub http: bool,
    /// Its certificate need not be vouched for.
    pub insecure: bool,
    /// Authorities that vouch for it, in PEM.
    pub ca: Vec<PathBuf>,
    /// How this side shows who it is.
    pub keypair: Vec<KeyPair>,
}

/// `[[registry."HOST".keypair]]`: files in PEM.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct KeyPair {
    /// The private key.
    pub key: PathBuf,
    /// The certificate.
    pub cert: PathBuf,
}

/// `[dns]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct DnsConfig {
    /// In place of the machine's.
    pub nameservers: Vec<String>,
    /// In place of the machine's.
    pub options: Vec<String>,
    /// In place of the machine's.
    #[serde(rename = "searchDomains")]
    pub search: Vec<String>,
}

/// Why a configuration is none.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is no TOML, or a value is not what its key takes.
    #[error("the configuration {} is wrong at line {line}: {problem}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// Where, from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
}

impl Config {
    /// Reads a file; also gives the keys that mean nothing here.
    pub fn read(path: &Path) -> Result<(Self, Vec<String>), ConfigError> {
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        Self::parse(&text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            let before = text.get(..start).unwrap_or(text.as_str());
            ConfigError::Wrong {
                path: path.to_owned(),
                line: before.matches('\n').count() + 1,
                problem: error.message().to_owned(),
            }
        })
    }

    /// Reads a text; also gives the keys that mean nothing here.
    pub fn parse(text: &str) -> Result<(Self, Vec<String>), toml::de::Error> {
        let mut unused = Vec::new();
        let document = toml::Deserializer::parse(text)?;
        let config = serde_ignored::deserialize(document, |key| unused.push(key.to_string()))?;
        Ok((config, unused))
    }
}

impl DnsConfig {
    /// The machine's resolver configuration with what is said here in its place.
    pub fn resolv_conf(&self, machine: &str) -> String {
        let replaced = |line: &str| match line.split_whitespace().next() {
            Some("nameserver") => !self.nameservers.is_empty(),
            Some("options") => !self.options.is_empty(),
            Some("search" | "domain") => !self.search.is_empty(),
            _ => false,
        };
        let mut lines: Vec<String> =
            machine.lines().filter(|line| !replaced(line)).map(str::to_owned).collect();
        if !self.search.is_empty() {
            lines.push(format!("search {}", self.search.join(" ")));
        }
        lines.extend(self.nameservers.iter().map(|server| format!("nameserver {server}")));
        if !self.options.is_empty() {
            lines.push(format!("options {}", self.options.join(" ")));
        }
        lines.join("\n") + "\n"
    }
}

#[cfg(test)]
mod tests;
