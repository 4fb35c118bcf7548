//! Flags of BuildKit's daemon that speak of parts that kiln does not have: accepted, and told of in the log.

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

/// Those that take a value.
const VALUES: [&str; 24] = [
    "debugaddr",
    "otel-socket-path",
    "oci-worker-snapshotter",
    "oci-worker-proxy-snapshotter-path",
    "oci-worker-net",
    "oci-cni-config-path",
    "oci-cni-binary-dir",
    "oci-cni-pool-size",
    "oci-worker-binary",
    "oci-worker-apparmor-profile",
    "containerd-worker-addr",
    "containerd-worker-labels",
    "containerd-worker-platform",
    "containerd-worker-namespace",
    "containerd-worker-runtime",
    "containerd-worker-net",
    "containerd-cni-config-path",
    "containerd-cni-binary-dir",
    "containerd-cni-pool-size",
    "containerd-worker-snapshotter",
    "containerd-worker-apparmor-profile",
    "containerd-max-parallelism",
    "containerd-worker-gc-keepstorage",
    OTHER_WORKER,
];

/// Those that are on or off.
const SWITCHES: [&str; 8] = [
    "rootless",
    "save-cache-debug",
    "oci-worker-selinux",
    "oci-worker-no-process-sandbox",
    "oci-worker-rootless",
    "containerd-worker-selinux",
    "containerd-worker-rootless",
    "containerd-worker-gc",
];

/// The worker that kiln does not have: `auto`, or on or off.
const OTHER_WORKER: &str = "containerd-worker";

/// Those of them that were given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnusedFlags {
    /// Their names, without the dashes.
    pub given: Vec<&'static str>,
}

fn names() -> impl Iterator<Item = &'static str> {
    VALUES.into_iter().chain(SWITCHES)
}

impl Args for UnusedFlags {
    fn augment_args(command: Command) -> Command {
        let plain = |name: &'static str| Arg::new(name).long(name).hide(true).action(ArgAction::Append);
        let command = command.args(VALUES.map(plain));
        command.args(
            SWITCHES
                .map(|name| plain(name).num_args(0..=1).require_equals(true).default_missing_value("true")),
        )
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for UnusedFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let is_given = |name: &&str| matches.value_source(name) == Some(ValueSource::CommandLine);
        // What is switched off anyway is no news.
        let is_off = |name: &str| {
            (SWITCHES.contains(&name) || name == OTHER_WORKER)
                && matches
                    .get_many::<String>(name)
                    .is_some_and(|mut values| values.all(|value| value == "false"))
        };
        Ok(Self { given: names().filter(is_given).filter(|name| !is_off(name)).collect() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
