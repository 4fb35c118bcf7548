//! The sections of `buildkitd.toml`, as far as they mean something here. Pure data; what is not in a file is as by default.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use super::{Age, Space};

/// Structures that are sections: everything in them may be left out, and keys are written as BuildKit writes most of them.
macro_rules! sections {
    ($($(#[$about:meta])* $name:ident { $($(#[$field_about:meta])* $field:ident: $type:ty,)* })*) => {$(
        $(#[$about])*
        #[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
        #[serde(default, rename_all = "camelCase")]
        pub struct $name {
            $($(#[$field_about])* pub $field: $type,)*
        }
    )*};
}

sections! {
    /// What the file says.
    Config {
        /// Tell of each build in the log.
        debug: bool,
        /// The same.
        trace: bool,
        /// The store's directory.
        root: Option<PathBuf>,
        /// What clients may grant their builds.
        #[serde(rename = "insecure-entitlements")]
        entitlements: Vec<String>,
        /// True is an error: nothing enforces it.
        proxy_network: bool,
        /// What the log is like.
        log: LogConfig,
        /// Where clients come in.
        grpc: GrpcConfig,
        /// Devices for steps.
        cdi: DeviceConfig,
        /// What builds.
        worker: WorkersConfig,
        /// Registries by host.
        registry: BTreeMap<String, RegistryConfig>,
        /// Who answers steps' questions for names.
        dns: Option<DnsConfig>,
    }

    /// `[log]`.
    LogConfig {
        /// `text` or `json`.
        format: Option<String>,
        /// `debug` and `trace` tell of each build.
        level: Option<String>,
    }

    /// `[grpc]`.
    GrpcConfig {
        /// Where to listen.
        address: Vec<String>,
        /// The user whose sockets they are.
        uid: Option<u32>,
        /// The group whose sockets they are.
        gid: Option<u32>,
        /// For TCP.
        tls: TlsFiles,
    }

    /// `[grpc.tls]`: files in PEM.
    TlsFiles {
        /// The daemon's certificate, with those between it and its authority.
        cert: Option<PathBuf>,
        /// Its private key.
        key: Option<PathBuf>,
        /// The authorities whose clients may come in.
        ca: Option<PathBuf>,
    }

    /// `[cdi]`.
    DeviceConfig {
        /// No step gets a device.
        disabled: bool,
        /// Directories of descriptions.
        spec_dirs: Vec<PathBuf>,
    }

    /// `[worker]`.
    WorkersConfig {
        /// The one that kiln is.
        oci: WorkerConfig,
    }

    /// `[worker.oci]`.
    WorkerConfig {
        /// False is an error: there is no other worker.
        enabled: Option<bool>,
        /// What it is said to be, beside what it says of itself.
        labels: BTreeMap<String, String>,
        /// Platforms that it is said to build for, the first by default.
        platforms: Vec<String>,
        /// Steps at a time.
        #[serde(rename = "max-parallelism")]
        max_parallelism: Option<usize>,
        /// Whether room is made at all.
        gc: Option<bool>,
        /// Bytes that are kept, by an old name.
        #[serde(rename = "gckeepstorage")]
        keep_storage: Option<Space>,
        /// Bytes that are kept in any case.
        reserved_space: Option<Space>,
        /// Bytes that may be used.
        max_used_space: Option<Space>,
        /// Bytes of the disk that stay free.
        min_free_space: Option<Space>,
        /// How room is made, one after another.
        #[serde(rename = "gcpolicy")]
        policies: Vec<PolicyConfig>,
    }

    /// `[[worker.oci.gcpolicy]]`.
    PolicyConfig {
        /// Also what is the store's own.
        all: bool,
        /// What may go: of several, any.
        filters: Vec<String>,
        /// Only what was not used for so long.
        keep_duration: Option<Age>,
        /// Bytes that are kept, by an old name.
        keep_bytes: Option<Space>,
        /// Bytes that are kept in any case.
        reserved_space: Option<Space>,
        /// Bytes that may be used.
        max_used_space: Option<Space>,
        /// Bytes of the disk that stay free.
        min_free_space: Option<Space>,
    }

    /// `[registry."HOST"]`.
    RegistryConfig {
        /// Hosts that are asked first, with a path if their repositories are below one.
        mirrors: Vec<String>,
        /// It is spoken to without TLS.
        http: bool,
        /// Its certificate need not be vouched for.
        insecure: bool,
        /// Authorities that vouch for it, in PEM.
        ca: Vec<PathBuf>,
        /// How this side shows who it is.
        keypair: Vec<KeyPair>,
    }

    /// `[dns]`.
    DnsConfig {
        /// In place of the machine's.
        nameservers: Vec<String>,
        /// In place of the machine's.
        options: Vec<String>,
        /// In place of the machine's.
        search_domains: Vec<String>,
    }
}

/// `[[registry."HOST".keypair]]`: files in PEM.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct KeyPair {
    /// The private key.
    pub key: PathBuf,
    /// The certificate.
    pub cert: PathBuf,
}

impl DnsConfig {
    /// The machine's resolver configuration with what is said here in its place.
    pub fn resolv_conf(&self, machine: &str) -> String {
        let replaced = |line: &str| match line.split_whitespace().next() {
            Some("nameserver") => !self.nameservers.is_empty(),
            Some("options") => !self.options.is_empty(),
            Some("search" | "domain") => !self.search_domains.is_empty(),
            _ => false,
        };
        let mut lines: Vec<String> =
            machine.lines().filter(|line| !replaced(line)).map(str::to_owned).collect();
        if !self.search_domains.is_empty() {
            lines.push(format!("search {}", self.search_domains.join(" ")));
        }
        lines.extend(self.nameservers.iter().map(|server| format!("nameserver {server}")));
        if !self.options.is_empty() {
            lines.push(format!("options {}", self.options.join(" ")));
        }
        lines.join("\n") + "\n"
    }
}
