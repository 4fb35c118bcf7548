//! What a daemon is told: its flags laid over its configuration file, as BuildKit's daemon does it. Pure but for the
//! machine's list of groups.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use kiln_server::config::{Config, DnsConfig, PolicyConfig, RegistryConfig, Space, TlsFiles, WorkerConfig};
use kiln_server::listen::{group, groups_file};
use kiln_server::{ENTITLEMENTS, Policy};

use crate::error::CliError;
use crate::flags::jobs;
use crate::flags::serve::ServeFlags;

/// The entitlement that is there unless devices are off.
const DEVICE: &str = "device";

/// Room of a store that is told nothing, after what BuildKit's daemon takes: kept in any case, used at most, left free.
const RESERVED: [Space; 2] = [Space::Percent(10), Space::Bytes(10_000_000_000)];
const MAX_USED: [Space; 2] = [Space::Percent(80), Space::Bytes(100_000_000_000)];
const MIN_FREE: Space = Space::Percent(20);

/// What is soonest made again goes first: above this, and after that time.
const EASY: [&str; 3] = ["type==source.local", "type==exec.cachemount", "type==source.git.checkout"];
const EASY_ROOM: u64 = 512_000_000;
const EASY_AGE: Duration = Duration::from_hours(48);

/// What was not used for so long goes before the rest.
const OLD: Duration = Duration::from_hours(60 * 24);

/// The levels that BuildKit's daemon knows; the last two tell of each build.
const LEVELS: [&str; 8] = ["panic", "fatal", "error", "warning", "warn", "info", "debug", "trace"];
const LOUD: &[&str] = &["debug", "trace"];

/// How the log is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum LogFormat {
    /// Lines.
    #[default]
    Text,
    /// An object a line.
    Json,
}

/// Everything a daemon is told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Settings {
    pub root: Option<PathBuf>,
    pub addresses: Vec<String>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub tls: TlsFiles,
    pub entitlements: Vec<String>,
    pub labels: BTreeMap<String, String>,
    pub platforms: Vec<String>,
    pub jobs: Option<usize>,
    pub devices_off: bool,
    pub device_directories: Vec<PathBuf>,
    pub registries: BTreeMap<String, RegistryConfig>,
    pub dns: Option<DnsConfig>,
    pub is_verbose: bool,
    pub log_format: LogFormat,
    /// Flags and keys that mean nothing here.
    pub unused: Vec<String>,
    gc: WorkerConfig,
}

impl Settings {
    /// The flags over the configuration.
    pub fn of(flags: &ServeFlags, config: Config) -> Result<Self, CliError> {
        let mut worker = config.worker.oci;
        let wants_worker = flags.oci_worker.as_deref().unwrap_or("auto") != "false";
        if !wants_worker || (flags.oci_worker.is_none() && worker.enabled == Some(false)) {
            return Err(CliError::usage(
                "no worker is left: the oci worker, which is switched off, is the only one",
            ));
        }
        worker.labels.extend(labels(&flags.oci_worker_labels)?);
        worker.gc = flags.oci_worker_gc.or(worker.gc);
        if let Some(text) = &flags.oci_worker_gc_keepstorage {
            (worker.reserved_space, worker.min_free_space, worker.max_used_space) = amounts(text)?;
            worker.policies.clear();
        }
        if config.proxy_network || flags.proxy_network.as_deref().is_some_and(|value| value != "false") {
            return Err(CliError::usage(
                "--proxy-network (proxyNetwork): kiln has no proxy that commands could be held to; leave it out",
            ));
        }
        let is_loud = is_loud(flags.log_level.as_ref().or(config.log.level.as_ref()))?;
        let log_format = log_format(flags.log_format.as_ref().or(config.log.format.as_ref()))?;
        let unused = flags.unused.given.iter().map(|name| format!("`--{name}`")).collect();
        let devices_off = flags.cdi_disabled || config.cdi.disabled;
        Ok(Self {
            root: config.root,
            addresses: either(&flags.addr, config.grpc.address),
            uid: config.grpc.uid,
            gid: flags.group.as_deref().map(group_of).transpose()?.or(config.grpc.gid),
            tls: TlsFiles {
                cert: flags.tlscert.clone().or(config.grpc.tls.cert),
                key: flags.tlskey.clone().or(config.grpc.tls.key),
                ca: flags.tlscacert.clone().or(config.grpc.tls.ca),
            },
            entitlements: entitlements(
                either(&flags.allow_insecure_entitlement, config.entitlements),
                devices_off,
            )?,
            labels: std::mem::take(&mut worker.labels),
            platforms: either(&flags.oci_worker_platform, std::mem::take(&mut worker.platforms)),
            jobs: parallelism(flags)?.or(worker.max_parallelism.filter(|jobs| *jobs > 0)),
            devices_off,
            device_directories: either(&flags.cdi_spec_dir, config.cdi.spec_dirs),
            registries: config.registry,
            dns: config.dns,
            is_verbose: flags.debug || flags.trace || config.debug || config.trace || is_loud,
            log_format,
            unused,
            gc: worker,
        })
    }

    /// How room is made in a store on a disk of that size.
    pub fn policies(&self, disk: u64) -> Vec<Policy> {
        let gc = &self.gc;
        if gc.gc == Some(false) {
            return Vec::new();
        }
        if !gc.policies.is_empty() {
            return gc.policies.iter().map(|policy| told(policy, disk)).collect();
        }
        let bytes = |space: Option<Space>| space.map_or(0, |space| space.of(disk));
        let least =
            |spaces: [Space; 2]| spaces.map(|space| space.of(disk)).into_iter().min().unwrap_or_default();
        let given = [gc.reserved_space.or(gc.keep_storage), gc.max_used_space, gc.min_free_space];
        let [reserved, max_used, min_free] = match given {
            [None, None, None] => [least(RESERVED), least(MAX_USED), MIN_FREE.of(disk)],
            given => given.map(bytes),
        };
        let rest = Policy { reserved, max_used, min_free, ..Policy::default() };
        let easy = Policy {
            filters: EASY.map(str::to_owned).to_vec(),
            unused_for: EASY_AGE,
            max_used: EASY_ROOM,
            ..Policy::default()
        };
        let old = Policy { unused_for: OLD, ..rest.clone() };
        vec![easy, old, rest.clone(), Policy { all: true, ..rest }]
    }
}

fn told(policy: &PolicyConfig, disk: u64) -> Policy {
    let bytes = |space: Option<Space>| space.map_or(0, |space| space.of(disk));
    Policy {
        all: policy.all,
        filters: policy.filters.clone(),
        unused_for: policy.keep_duration.unwrap_or_default().0,
        reserved: bytes(policy.reserved_space.or(policy.keep_bytes)),
        max_used: bytes(policy.max_used_space),
        min_free: bytes(policy.min_free_space),
    }
}

fn log_format(given: Option<&String>) -> Result<LogFormat, CliError> {
    match given.map(String::as_str) {
        None | Some("" | "text") => Ok(LogFormat::Text),
        Some("json") => Ok(LogFormat::Json),
        Some(other) => {
            Err(CliError::usage(format!("the log format `{other}` is not known: text or json is meant")))
        }
    }
}

fn is_loud(level: Option<&String>) -> Result<bool, CliError> {
    let level = level.map(String::as_str).filter(|level| !level.is_empty()).unwrap_or("info");
    if !LEVELS.contains(&level) {
        let known = LEVELS.join(", ");
        return Err(CliError::usage(format!("the log level `{level}` is not known: there are {known}")));
    }
    Ok(LOUD.contains(&level))
}

/// What the flags say, or else the configuration.
fn either<T: Clone>(flags: &[T], config: Vec<T>) -> Vec<T> {
    if flags.is_empty() { config } else { flags.to_vec() }
}

fn parallelism(flags: &ServeFlags) -> Result<Option<usize>, CliError> {
    // To BuildKit's daemon, 0 is no limit.
    let given = flags.oci_max_parallelism.as_deref().filter(|text| *text != "0");
    let read = |text: &str| {
        jobs::parse(text).map_err(|error| CliError::usage(format!("--oci-max-parallelism: {error}")))
    };
    given.map(read).transpose()
}

fn group_of(name: &str) -> Result<u32, CliError> {
    let file = groups_file();
    let groups = std::fs::read_to_string(&file);
    let groups = groups.or_else(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Ok(String::new()),
        _ => Err(error),
    });
    let groups = groups.map_err(CliError::file("read", &file))?;
    group(name, &groups).ok_or_else(|| CliError::usage(format!("--group: there is no group `{name}`")))
}

fn labels(given: &[String]) -> Result<BTreeMap<String, String>, CliError> {
    let mut labels = BTreeMap::new();
    for text in given {
        let (key, value) = text
            .split_once('=')
            .ok_or_else(|| CliError::usage(format!("--oci-worker-labels: `{text}` is no KEY=VALUE")))?;
        labels.insert(key.to_owned(), value.to_owned());
    }
    Ok(labels)
}

fn entitlements(mut given: Vec<String>, devices_off: bool) -> Result<Vec<String>, CliError> {
    if let Some(unknown) = given.iter().find(|name| !ENTITLEMENTS.contains(&name.as_str())) {
        return Err(CliError::usage(format!(
            "`{unknown}` is no entitlement: there are {}",
            ENTITLEMENTS.join(", ")
        )));
    }
    if !devices_off && !given.iter().any(|name| name == DEVICE) {
        given.push(DEVICE.to_owned());
    }
    Ok(given)
}

type Amounts = (Option<Space>, Option<Space>, Option<Space>);

/// `RESERVED[,FREE[,MAXIMUM]]`, plain numbers in MB.
fn amounts(text: &str) -> Result<Amounts, CliError> {
    let wrong = || {
        CliError::usage(format!(
            "--oci-worker-gc-keepstorage: `{text}` is not RESERVED[,FREE[,MAXIMUM]] in MB or as shares of the disk"
        ))
    };
    let one = |part: &str| -> Result<Space, CliError> {
        match part.trim().parse::<u64>() {
            Ok(megabytes) => Ok(Space::Bytes(megabytes.saturating_mul(1_000_000))),
            Err(_) => part.parse::<Space>().map_err(|_| wrong()),
        }
    };
    let parts = text.split(',').map(one).collect::<Result<Vec<_>, _>>()?;
    match parts[..] {
        [reserved] => Ok((Some(reserved), None, None)),
        [reserved, free] => Ok((Some(reserved), Some(free), None)),
        [reserved, free, maximum] => Ok((Some(reserved), Some(free), Some(maximum))),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn config(text: &str) -> Config {
        Config::parse(text).unwrap().0
    }

    fn refused(flags: &ServeFlags, text: &str) -> String {
        Settings::of(flags, config(text)).unwrap_err().to_string()
    }

    #[test]
    fn flags_win_over_the_file() {
        let text = r#"
            root = "/r"
            insecure-entitlements = ["security.insecure"]
            [grpc]
            address = ["tcp://0.0.0.0:1"]
            gid = 5
            [grpc.tls]
            cert = "/c"
            key = "/k"
            [worker.oci]
            max-parallelism = 3
            [worker.oci.labels]
            a = "file"
            b = "file""#;
        let plain = Settings::of(&ServeFlags::default(), config(text)).unwrap();
        assert_eq!((plain.gid, plain.jobs, plain.is_verbose), (Some(5), Some(3), false));
        assert_eq!(plain.entitlements, ["security.insecure", "device"]);
        let flags = ServeFlags {
            addr: vec!["unix:///s".into()],
            group: Some("7".into()),
            tlskey: Some("/flag".into()),
            allow_insecure_entitlement: vec!["network.host".into()],
            oci_worker_labels: vec!["a=flag".into()],
            oci_max_parallelism: Some("9".into()),
            cdi_disabled: true,
            log_level: Some("debug".into()),
            log_format: Some("json".into()),
            ..ServeFlags::default()
        };
        let both = Settings::of(&flags, config(text)).unwrap();
        assert_eq!(both.addresses, ["unix:///s"]);
        assert_eq!((both.gid, both.jobs, both.is_verbose), (Some(7), Some(9), true));
        assert_eq!((both.tls.cert, both.tls.key), (Some("/c".into()), Some("/flag".into())));
        assert_eq!(both.entitlements, ["network.host"]);
        assert_eq!((both.labels["a"].as_str(), both.labels["b"].as_str()), ("flag", "file"));
        assert_eq!((plain.log_format, both.log_format), (LogFormat::Text, LogFormat::Json));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let flags = ServeFlags::default();
        assert!(refused(&flags, "[worker.oci]\nenabled = false").contains("only one"));
        assert!(refused(&flags, "insecure-entitlements = [\"all\"]").contains("`all` is no entitlement"));
        let with = |change: fn(&mut ServeFlags)| {
            let mut flags = ServeFlags::default();
            change(&mut flags);
            refused(&flags, "")
        };
        assert!(with(|flags| flags.log_format = Some("xml".into())).contains("text or json"));
        assert!(with(|flags| flags.log_level = Some("loud".into())).contains("`loud` is not known"));
        assert!(with(|flags| flags.proxy_network = Some("true".into())).contains("proxyNetwork"));
        assert!(refused(&flags, "proxyNetwork = true").contains("proxyNetwork"));
        assert!(refused(&flags, "[log]\nformat = \"xml\"").contains("`xml`"));
        assert!(with(|flags| flags.group = Some("no such group".into())).contains("no such group"));
        assert!(with(|flags| flags.oci_worker_labels = vec!["x".into()]).contains("KEY=VALUE"));
        assert!(
            with(|flags| flags.oci_max_parallelism = Some("many".into())).contains("--oci-max-parallelism")
        );
        assert!(with(|flags| flags.oci_worker_gc_keepstorage = Some("1,2,3,4".into())).contains("RESERVED"));
        assert!(with(|flags| flags.oci_worker = Some("false".into())).contains("only one"));
    }

    #[test]
    fn room_is_made_as_the_file_the_flags_or_nobody_says() {
        let disk = 1_000_000_000_000;
        let policies =
            |flags: &ServeFlags, text: &str| Settings::of(flags, config(text)).unwrap().policies(disk);
        let flags = ServeFlags::default();
        let default = policies(&flags, "");
        assert_eq!(default.len(), 4);
        assert_eq!((default[0].max_used, default[0].filters.len()), (512_000_000, 3));
        let last = &default[3];
        assert_eq!(
            (last.all, last.reserved, last.max_used, last.min_free),
            (true, 10_000_000_000, 100_000_000_000, 200_000_000_000)
        );
        assert!(policies(&flags, "[worker.oci]\ngc = false").is_empty());
        let kept = policies(&flags, "[worker.oci]\ngckeepstorage = \"1GB\"").remove(2);
        assert_eq!((kept.reserved, kept.max_used, kept.min_free), (1 << 30, 0, 0));
        let own = "[[worker.oci.gcpolicy]]\nkeepBytes = 7\nkeepDuration = 60\nall = true\nfilters = [\"type==regular\"]";
        let own = policies(&flags, own);
        assert_eq!((own.len(), own[0].reserved, own[0].unused_for.as_secs(), own[0].all), (1, 7, 60, true));
        let flags =
            ServeFlags { oci_worker_gc_keepstorage: Some("100,10%,500".into()), ..ServeFlags::default() };
        let given = policies(&flags, "[[worker.oci.gcpolicy]]\nkeepBytes = 7").remove(3);
        assert_eq!(
            (given.reserved, given.min_free, given.max_used),
            (100_000_000, 100_000_000_000, 500_000_000)
        );
    }
}
