//! The daemon's configuration file, `buildkitd.toml`: BuildKit's own keys, as far as they mean something here.
//!
//! What is read is data (`sections`); the command line lays its flags over it. Keys that BuildKit has for parts that kiln
//! does not have are handed back by name, so that the log can tell of them; a key that nobody has is an error. Called by
//! the command line before the daemon starts.

mod amount;
mod sections;

use std::path::{Path, PathBuf};

pub use amount::{Age, AmountError, Space};
pub use sections::{
    Config, DeviceConfig, DnsConfig, GrpcConfig, KeyPair, LogConfig, PolicyConfig, RegistryConfig, TlsFiles,
    WorkerConfig, WorkersConfig,
};

/// What BuildKit's daemon has that kiln's has not: keys, and sections with everything in them.
const MEANINGLESS: &[&str] = &[
    "cache",
    "cdi.autoAllowed",
    "frontend",
    "ghacache",
    "grpc.debugAddress",
    "grpc.securityDescriptor",
    "history",
    "otel",
    "provenanceEnvDir",
    "system",
    "worker.containerd",
    "worker.oci.apparmor-profile",
    "worker.oci.binary",
    "worker.oci.bridgeName",
    "worker.oci.bridgeSubnet",
    "worker.oci.cniBinaryPath",
    "worker.oci.cniConfigPath",
    "worker.oci.cniPoolSize",
    "worker.oci.defaultCgroupParent",
    "worker.oci.networkMode",
    "worker.oci.noProcessSandbox",
    "worker.oci.proxySnapshotterPath",
    "worker.oci.rootless",
    "worker.oci.selinux",
    "worker.oci.snapshotter",
    "worker.oci.stargzSnapshotter",
    "worker.oci.userRemapUnsupported",
];

/// The same for each registry.
const MEANINGLESS_OF_REGISTRIES: &str = ".tlsconfigdir";

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
    #[error("the configuration {} is wrong at line {line} (`{text}`): {problem}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// Where, from 1.
        line: usize,
        /// What is written there.
        text: String,
        /// What is wrong.
        problem: String,
    },
    /// A key that BuildKit's daemon does not have either.
    #[error("the configuration {} has a key that means nothing: `{key}`; check its spelling and its section", path.display())]
    Unknown {
        /// The file.
        path: PathBuf,
        /// The key, with its sections.
        key: String,
    },
}

impl Config {
    /// Reads a file; also gives the keys that mean nothing here.
    pub fn read(path: &Path) -> Result<(Self, Vec<String>), ConfigError> {
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        let (config, unused) = Self::parse(&text).map_err(|error| wrong(path, &text, &error))?;
        match unused.iter().find(|key| !is_meaningless(key)) {
            Some(key) => Err(ConfigError::Unknown { path: path.to_owned(), key: key.clone() }),
            None => Ok((config, unused)),
        }
    }

    /// Reads a text; also gives the keys that were not read.
    pub fn parse(text: &str) -> Result<(Self, Vec<String>), toml::de::Error> {
        let mut unused = Vec::new();
        let document = toml::Deserializer::parse(text)?;
        let config = serde_ignored::deserialize(document, |key| unused.push(key.to_string()))?;
        Ok((config, unused))
    }
}

/// Whether BuildKit's daemon has the key.
fn is_meaningless(key: &str) -> bool {
    MEANINGLESS.contains(&key) || (key.starts_with("registry.") && key.ends_with(MEANINGLESS_OF_REGISTRIES))
}

fn wrong(path: &Path, text: &str, error: &toml::de::Error) -> ConfigError {
    let start = error.span().map_or(0, |span| span.start);
    let number = text.get(..start).unwrap_or(text).matches('\n').count();
    ConfigError::Wrong {
        path: path.to_owned(),
        line: number + 1,
        text: text.lines().nth(number).unwrap_or_default().trim().to_owned(),
        problem: error.message().to_owned(),
    }
}

#[cfg(test)]
mod tests;
