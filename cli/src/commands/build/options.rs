//! Flags and environment to the lowering's options.

use std::collections::BTreeMap;

use kiln_graph::Entitlements;
use kiln_graph::lower::LowerOptions;
use kiln_graph::op::Network;

use super::source::BuildSource;
use crate::environment::Environment;
use crate::error::CliError;
use crate::flags::build::BuildFlags;
use crate::flags::hosts::HostSpec;
use crate::session::{Session, host_platform};

/// The variable that dates a reproducible build; given on to the build when it is set, as buildx does.
pub(super) const SOURCE_DATE_EPOCH: &str = "SOURCE_DATE_EPOCH";

/// The lowering's options.
pub fn read(flags: &BuildFlags, source: &BuildSource, session: &Session) -> Result<LowerOptions, CliError> {
    let is_default = flags.platform.is_none() && session.environment.default_platform().is_none();
    Ok(LowerOptions {
        target: flags.target.clone().filter(|target| !target.is_empty()),
        build_args: build_args(&flags.build_args, &session.environment)?,
        labels: labels(&flags.labels)?,
        platform: session.platform(flags.platform.as_deref())?,
        platform_is_default: is_default,
        build_platform: host_platform(),
        ignore: source.ignore.clone(),
        contexts: source.named.all.clone(),
        no_cache: flags.no_cache,
        no_cache_stages: flags.no_cache_filter.clone(),
        network: network(flags.network.as_deref())?,
        entitlements: entitlements(flags)?,
        check: false,
    })
}

/// `NAME=VALUE`, or `NAME` for the environment's value; a variable that is not set is no argument.
pub(super) fn build_args(
    given: &[String],
    environment: &Environment,
) -> Result<BTreeMap<String, String>, CliError> {
    let mut args = BTreeMap::new();
    if let Some(epoch) = environment.variable(SOURCE_DATE_EPOCH) {
        args.insert(SOURCE_DATE_EPOCH.to_owned(), epoch.to_owned());
    }
    for text in given {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (text.as_str(), environment.variable(text)),
        };
        if name.is_empty() {
            return Err(CliError::usage(format!("--build-arg `{text}` has no name")));
        }
        match value {
            Some(value) => args.insert(name.to_owned(), value.to_owned()),
            None => args.remove(name),
        };
    }
    Ok(args)
}

fn labels(given: &[String]) -> Result<Vec<(String, String)>, CliError> {
    let label = |text: &String| {
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        if key.is_empty() {
            return Err(CliError::usage(format!("--label `{text}` has no key")));
        }
        Ok((key.to_owned(), value.to_owned()))
    };
    given.iter().map(label).collect()
}

/// The hosts that commands know beside this machine's, address and name.
pub(super) fn hosts(given: &[HostSpec]) -> Vec<(String, String)> {
    given.iter().map(|host| (host.address.to_string(), host.name.clone())).collect()
}

/// The network of RUN; the default is the host's.
fn network(mode: Option<&str>) -> Result<Network, CliError> {
    match mode {
        None | Some("" | "default" | "host") => Ok(Network::Host),
        Some("none") => Ok(Network::None),
        Some(other) => Err(CliError::usage_with_hint(
            format!("--network={other} is no network of a build"),
            "it may be default, host or none",
        )),
    }
}

/// What RUN may ask for. On the host's network it is by default; a build that turns that off has to grant it again.
fn entitlements(flags: &BuildFlags) -> Result<Entitlements, CliError> {
    let network_host = network(flags.network.as_deref())? == Network::Host;
    let mut granted = Entitlements { network_host, ..Entitlements::default() };
    for text in &flags.allow {
        granted.grant(text).map_err(|error| CliError::usage(error.to_string()))?;
    }
    Ok(granted)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn strings(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    #[test]
    fn build_args_take_their_value_from_the_flag_or_the_environment() {
        let environment = Environment::of(&[("B", "env"), ("SOURCE_DATE_EPOCH", "7")], true);
        let args = build_args(&strings(&["A=1=2", "B", "C", "D="]), &environment).unwrap();
        let expected = [("A", "1=2"), ("B", "env"), ("D", ""), ("SOURCE_DATE_EPOCH", "7")];
        assert_eq!(args, expected.map(|(k, v)| (k.to_owned(), v.to_owned())).into());
        let args = build_args(&strings(&["SOURCE_DATE_EPOCH=8"]), &environment).unwrap();
        assert_eq!(args.get("SOURCE_DATE_EPOCH").unwrap(), "8");
        assert!(build_args(&strings(&["=x"]), &environment).is_err());
    }

    #[test]
    fn labels_may_have_no_value() {
        let expected = vec![("a".to_owned(), "b=c".to_owned()), ("d".to_owned(), String::new())];
        assert_eq!(labels(&strings(&["a=b=c", "d"])).unwrap(), expected);
        assert!(labels(&strings(&["=x"])).is_err());
    }

    #[test]
    fn a_build_without_network_has_to_be_granted_the_hosts() {
        let granted = |network: Option<&str>, allow: &[&str]| {
            let network = network.map(str::to_owned);
            entitlements(&BuildFlags { network, allow: strings(allow), ..BuildFlags::default() }).unwrap()
        };
        assert!(granted(None, &[]).network_host && granted(Some("host"), &[]).network_host);
        assert!(!granted(Some("none"), &[]).network_host);
        assert!(granted(Some("none"), &["network.host"]).network_host);
        assert!(
            !granted(None, &[]).security_insecure && granted(None, &["security.insecure"]).security_insecure
        );
    }

    #[test]
    fn networks() {
        assert_eq!(network(None).unwrap(), Network::Host);
        assert_eq!(network(Some("none")).unwrap(), Network::None);
        assert!(network(Some("bridge")).unwrap_err().to_string().contains("bridge"));
    }
}
