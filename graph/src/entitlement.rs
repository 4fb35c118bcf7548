//! What the steps of a build may ask for beyond the ordinary: the host's network, privileges, devices.
//!
//! Whoever starts a build grants entitlements; an [`Exec`] that needs one that was not granted is not run. The lowering
//! checks what it lowers, so that a mistake is shown at its place; the builder checks every graph that it is given,
//! wherever the graph came from. Whether a device was granted can only be said where the machine's devices are
//! known, so that question is the builder's alone. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::op::{Exec, Network, Security};

/// Something that has to be granted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Entitlement {
    /// The host's network.
    NetworkHost,
    /// Every privilege that the builder has.
    SecurityInsecure,
    /// A device, by its full name (`vendor.com/class=name`).
    Device(String),
}

impl fmt::Display for Entitlement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NetworkHost => f.write_str(NETWORK_HOST),
            Self::SecurityInsecure => f.write_str(SECURITY_INSECURE),
            Self::Device(name) => write!(f, "{DEVICE}={name}"),
        }
    }
}

/// The names of entitlements, as BuildKit has them.
const NETWORK_HOST: &str = "network.host";
const SECURITY_INSECURE: &str = "security.insecure";
const DEVICE: &str = "device";

/// What a build is granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entitlements {
    /// The host's network.
    pub network_host: bool,
    /// Every privilege that the builder has.
    pub security_insecure: bool,
    /// Devices.
    pub devices: DeviceEntitlements,
}

/// Which devices a build is granted. Some need no grant; that stands in the device's own description.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeviceEntitlements {
    /// All of them.
    pub all: bool,
    /// These: full names, classes, or all of a kind (`vendor.com/class=*`).
    pub names: BTreeSet<String>,
    /// Other names for some of them.
    pub aliases: BTreeMap<String, String>,
}

impl Default for Entitlements {
    /// What needs no flag: RUN is on the host's network unless the build says otherwise.
    fn default() -> Self {
        Self { network_host: true, security_insecure: false, devices: DeviceEntitlements::default() }
    }
}

impl Entitlements {
    /// Adds a grant as it is written in a flag: `network.host`, `security.insecure`, `device`, or
    /// `device=NAME[,alias=OTHER]`.
    pub fn grant(&mut self, text: &str) -> Result<(), GrantError> {
        match text.split_once('=').unwrap_or((text, "")) {
            (NETWORK_HOST, "") => self.network_host = true,
            (SECURITY_INSECURE, "") => self.security_insecure = true,
            (DEVICE, "") => self.devices.all = true,
            (DEVICE, device) => self.devices.grant(text, device)?,
            _ => return Err(GrantError::Unknown { text: text.to_owned() }),
        }
        Ok(())
    }

    /// What the process needs and is not granted, devices aside.
    pub fn missing(&self, exec: &Exec) -> Option<Entitlement> {
        if exec.security == Security::Insecure && !self.security_insecure {
            return Some(Entitlement::SecurityInsecure);
        }
        (exec.network == Network::Host && !self.network_host).then_some(Entitlement::NetworkHost)
    }
}

impl DeviceEntitlements {
    /// The name that stands behind an alias; any other name stands for itself.
    pub fn real_name<'a>(&'a self, name: &'a str) -> &'a str {
        self.aliases.get(name).map_or(name, String::as_str)
    }

    fn grant(&mut self, text: &str, device: &str) -> Result<(), GrantError> {
        let mut fields = device.split(',');
        let name = fields.next().unwrap_or_default();
        let mut alias = None;
        for field in fields {
            match field.split_once('=') {
                Some(("alias", value)) if !value.is_empty() => alias = Some(value.to_owned()),
                _ => return Err(GrantError::Field { text: text.to_owned(), field: field.to_owned() }),
            }
        }
        if name.is_empty() {
            return Err(GrantError::NoDevice { text: text.to_owned() });
        }
        self.names.insert(name.to_owned());
        self.aliases.extend(alias.map(|alias| (alias, name.to_owned())));
        Ok(())
    }
}

/// A grant that says nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// There is no such entitlement.
    #[error("`{text}` is no entitlement: there are {NETWORK_HOST}, {SECURITY_INSECURE} and {DEVICE}[=NAME]")]
    Unknown {
        /// As written.
        text: String,
    },
    /// A device has no such option.
    #[error("`{field}` in `{text}` is not understood: only alias=NAME may follow a device")]
    Field {
        /// As written.
        text: String,
        /// The part.
        field: String,
    },
    /// A device has no name.
    #[error("`{text}` names no device")]
    NoDevice {
        /// As written.
        text: String,
    },
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn granted(texts: &[&str]) -> Entitlements {
        let mut all = Entitlements { network_host: false, ..Entitlements::default() };
        for text in texts {
            all.grant(text).unwrap();
        }
        all
    }

    /// A command that asks for nothing else.
    pub(crate) fn exec(network: Network, security: Security) -> Exec {
        Exec {
            args: vec!["true".to_owned()],
            env: Vec::new(),
            proxies: Vec::new(),
            platform: "linux/amd64".to_owned(),
            cwd: "/".to_owned(),
            user: String::new(),
            mounts: Vec::new(),
            network,
            security,
            devices: Vec::new(),
            hostname: None,
            rules: crate::op::ExecRules::default(),
        }
    }

    #[test]
    fn grants_are_those_of_buildkit() {
        assert!(granted(&["network.host"]).network_host && granted(&["security.insecure"]).security_insecure);
        assert!(granted(&["device"]).devices.all);
        let one = granted(&["device=vendor.com/gpu=0,alias=gpu", "device=other"]).devices;
        assert!(!one.all && one.names.contains("other") && one.names.contains("vendor.com/gpu=0"));
        assert_eq!((one.real_name("gpu"), one.real_name("other")), ("vendor.com/gpu=0", "other"));
    }

    #[test]
    fn other_grants_are_refused_with_what_there_is() {
        let refused = |text: &str| Entitlements::default().grant(text).unwrap_err().to_string();
        assert!(
            refused("networkhost").contains("there are network.host, security.insecure and device[=NAME]")
        );
        for text in ["", "network.host=x", "security", "fs.read=/", "device=,alias=x"] {
            assert!(refused(text).contains(&format!("`{text}`")), "{text}");
        }
        assert!(refused("device=a,b").contains("`b` in `device=a,b`"));
        assert!(refused("device=a,alias=").contains("`alias=`"));
    }

    #[test]
    fn a_process_needs_what_it_asks_for() {
        let none = granted(&[]);
        let missing = |network, security| none.missing(&exec(network, security));
        assert_eq!(missing(Network::None, Security::Sandbox), None);
        assert_eq!(missing(Network::Host, Security::Sandbox), Some(Entitlement::NetworkHost));
        assert_eq!(missing(Network::None, Security::Insecure), Some(Entitlement::SecurityInsecure));
        let all = granted(&["network.host", "security.insecure"]);
        assert_eq!(all.missing(&exec(Network::Host, Security::Insecure)), None);
        assert_eq!(Entitlements::default().missing(&exec(Network::Host, Security::Sandbox)), None);
        assert!(Entitlements::default().missing(&exec(Network::Host, Security::Insecure)).is_some());
    }

    #[test]
    fn entitlements_have_the_names_that_grant_them() {
        for need in [Entitlement::NetworkHost, Entitlement::SecurityInsecure, Entitlement::Device("d".into())]
        {
            assert_ne!(granted(&[&need.to_string()]), granted(&[]));
        }
    }
}
