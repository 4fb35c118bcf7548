//! Attributes of a build beside the Dockerfile's own business: hosts that commands know, limits of what they may use. What kiln
//! does not do is refused where leaving it out could change what the build does, and told otherwise.

use std::collections::HashMap;
use std::net::IpAddr;

use kiln_graph::Graph;
use kiln_graph::op::Ulimit;
use tonic::Status;

/// Limits of control groups, which are not set: a command has at least what they would leave it.
const WITHOUT_EFFECT: &[&str] =
    &["cgroup-parent", "memory", "memswap", "cpushares", "cpuperiod", "cpuquota", "cpusetcpus", "cpusetmems"];

/// What the attributes ask for beside the Dockerfile.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Limits {
    /// Hosts that every command knows: address and name.
    hosts: Vec<(String, String)>,
    /// What every command may use.
    ulimits: Vec<Ulimit>,
    /// The size of `/dev/shm`, if it is not the usual one.
    shared_memory: Option<u64>,
    /// What is not done, in one line each.
    pub(super) warnings: Vec<String>,
}

impl Limits {
    /// Makes them a part of every command.
    pub(super) fn apply(&self, graph: &mut Graph) {
        graph.add_hosts(&self.hosts);
        graph.limit(&self.ulimits, self.shared_memory);
    }
}

/// Reads the attributes.
pub(super) fn read(attributes: &HashMap<String, String>) -> Result<Limits, Status> {
    let get = |key: &str| attributes.get(key).filter(|value| !value.is_empty());
    let mut limits = Limits::default();
    if let Some(given) = get("add-hosts") {
        limits.hosts = hosts(given)?;
    }
    if let Some(given) = get("ulimit") {
        let read = given.split(',').map(str::parse::<Ulimit>).collect::<Result<Vec<_>, _>>();
        let read = read.map_err(|error| Status::invalid_argument(format!("ulimit: {error}")))?;
        limits.ulimits = Ulimit::in_order(read);
    }
    if let Some(given) = get("shm-size") {
        limits.shared_memory = shared_memory(given)?;
    }
    for key in WITHOUT_EFFECT {
        if let Some(value) = get(key) {
            let what = "what commands take of memory and processors is not limited";
            limits.warnings.push(format!("{key}={value} has no effect: {what}"));
        }
    }
    Ok(limits)
}

/// A number of bytes; 0 and less stand for the usual size.
fn shared_memory(given: &str) -> Result<Option<u64>, Status> {
    let size: i64 = given.parse().map_err(|_| {
        Status::invalid_argument(format!("shm-size: `{given}` is not a number of bytes, as 134217728 is"))
    })?;
    Ok(u64::try_from(size).ok().filter(|size| *size > 0))
}

/// `NAME=ADDRESS` in a list.
fn hosts(given: &str) -> Result<Vec<(String, String)>, Status> {
    let host = |pair: &str| {
        let wrong = || Status::invalid_argument(format!("add-hosts: `{pair}` is not NAME=ADDRESS"));
        let (name, address) = pair.split_once('=').ok_or_else(wrong)?;
        let address: IpAddr = address.trim_matches(['[', ']']).parse().map_err(|_| wrong())?;
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(wrong());
        }
        Ok((address.to_string(), name.to_owned()))
    };
    given.split(',').map(host).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read_pairs(pairs: &[(&str, &str)]) -> Result<Limits, Status> {
        read(&pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn hosts_have_addresses() {
        let limits = read_pairs(&[("add-hosts", "a=1.2.3.4,b=::1")]).unwrap();
        let pair = |address: &str, name: &str| (address.to_owned(), name.to_owned());
        assert_eq!(limits.hosts, [pair("1.2.3.4", "a"), pair("::1", "b")]);
        for wrong in ["a", "a=b", "=1.2.3.4", "a b=1.2.3.4"] {
            assert!(read_pairs(&[("add-hosts", wrong)]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn limits_are_read_as_clients_write_them() {
        let read = |key: &str, value: &str| read_pairs(&[(key, value)]);
        let texts = |limits: Limits| limits.ulimits.iter().map(Ulimit::to_string).collect::<Vec<_>>();
        assert_eq!(texts(read("ulimit", "nproc=5:-1,core=0").unwrap()), ["core=0:0", "nproc=5:-1"]);
        assert_eq!(texts(read("ulimit", "nofile=1,nofile=2").unwrap()), ["nofile=2:2"]);
        for (size, expected) in [("134217728", Some(128 << 20)), ("0", None), ("-1", None), ("", None)] {
            assert_eq!(read("shm-size", size).unwrap().shared_memory, expected, "{size}");
        }
        for (key, value, said) in [
            ("ulimit", "files=1", "ulimit: `files` is the name of no limit"),
            ("ulimit", "nofile=1,", "ulimit: `` is not NAME=SOFT[:HARD]"),
            ("ulimit", "nofile=2:1", "ulimit: the soft limit of nofile is 2"),
            ("shm-size", "128m", "shm-size: `128m` is not a number of bytes"),
        ] {
            let error = read(key, value).unwrap_err();
            assert!(error.message().starts_with(said), "{}", error.message());
        }
    }

    #[test]
    fn what_is_not_done_is_said() {
        assert_eq!(read_pairs(&[("attest:provenance", "mode=max")]).unwrap(), Limits::default());
        let warnings =
            read_pairs(&[("shm-size", "1"), ("ulimit", "core=0"), ("memory", "1")]).unwrap().warnings;
        assert!(warnings.len() == 1 && warnings[0].starts_with("memory=1 has no effect"), "{warnings:?}");
    }
}
