//! Flags of `docker build` that scripts give and that change nothing here: other builders, limits of memory and processors.
//!
//! They are accepted, so that a script need not be changed, and told in one line, so that nobody relies on them. A flag
//! that would change the image or what a command may do is not among them: see [`super::unsupported`]. Flattened into
//! [`super::build::BuildFlags`]; told by `crate::commands::build`.

use clap::Args;

/// What the line says of flags without effect.
const NO_EFFECT: &str =
    "no effect here: there is one builder, and what commands take of memory and processors is not limited";

/// What `--resource` limits.
const RESOURCES: [&str; 7] =
    ["memory", "memory-swap", "cpu-shares", "cpu-period", "cpu-quota", "cpuset-cpus", "cpuset-mems"];

/// The flags, as they are written.
#[derive(Debug, Clone, Default, Args)]
pub struct WithoutEffect {
    #[arg(long, hide = true, value_name = "NAME")]
    builder: Option<String>,
    #[arg(short = 'D', long, hide = true)]
    debug: bool,
    /// The only isolation there is on Linux.
    #[arg(long, hide = true, value_name = "TECHNOLOGY", value_parser = ["default", ""])]
    isolation: Option<String>,
    #[arg(long, hide = true, value_name = "NAME=VALUE", value_parser = resource)]
    resource: Vec<String>,
    #[arg(short, long, hide = true, value_name = "BYTES")]
    memory: Option<String>,
    #[arg(long, hide = true, value_name = "BYTES", allow_hyphen_values = true)]
    memory_swap: Option<String>,
    #[arg(short, long, hide = true, value_name = "N")]
    cpu_shares: Option<String>,
    #[arg(long, hide = true, value_name = "N")]
    cpu_period: Option<String>,
    #[arg(long, hide = true, value_name = "N")]
    cpu_quota: Option<String>,
    #[arg(long, hide = true, value_name = "LIST")]
    cpuset_cpus: Option<String>,
    #[arg(long, hide = true, value_name = "LIST")]
    cpuset_mems: Option<String>,
    #[arg(long, hide = true, value_name = "NAME")]
    cgroup_parent: Option<String>,
}

impl WithoutEffect {
    /// The line for those that were given, if there are any. `--isolation default` is what happens, and no word worth.
    pub fn warning(&self) -> Option<String> {
        let given = [
            ("--builder", self.builder.is_some()),
            ("--debug", self.debug),
            ("--resource", !self.resource.is_empty()),
            ("--memory", self.memory.is_some()),
            ("--memory-swap", self.memory_swap.is_some()),
            ("--cpu-shares", self.cpu_shares.is_some()),
            ("--cpu-period", self.cpu_period.is_some()),
            ("--cpu-quota", self.cpu_quota.is_some()),
            ("--cpuset-cpus", self.cpuset_cpus.is_some()),
            ("--cpuset-mems", self.cpuset_mems.is_some()),
            ("--cgroup-parent", self.cgroup_parent.is_some()),
        ];
        let names: Vec<&str> = given.iter().filter(|(_, given)| *given).map(|(name, _)| *name).collect();
        let verb = if names.len() == 1 { "has" } else { "have" };
        (!names.is_empty()).then(|| format!("warning: {} {verb} {NO_EFFECT}", names.join(", ")))
    }
}

/// One of the limits that `docker buildx build --resource` sets.
fn resource(text: &str) -> Result<String, String> {
    match text.split_once('=') {
        Some((name, _)) if RESOURCES.contains(&name.trim()) => Ok(text.to_owned()),
        Some((name, _)) => {
            Err(format!("`{name}` is the name of no resource; there are {}", RESOURCES.join(", ")))
        }
        None => Err(format!("`{text}` is not NAME=VALUE, as memory=2g is")),
    }
}
