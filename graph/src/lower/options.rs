//! What a caller of the lowering chooses.

use std::collections::BTreeMap;

use super::contexts::NamedContext;
use crate::entitlement::Entitlements;
use crate::op::Network;

/// The choices that are not in the Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LowerOptions {
    /// The stage to build, by name or index; the last one when `None`.
    pub target: Option<String>,
    /// `--build-arg`, with their values. A name without a value takes the caller's environment's, so it is the
    /// caller who leaves it out or fills it in.
    pub build_args: BTreeMap<String, String>,
    /// `--label`.
    pub labels: Vec<(String, String)>,
    /// The platform to build for: `os/arch[/variant]`.
    pub platform: String,
    /// True when nobody asked for [`platform`](Self::platform): then an image keeps the platform of its base.
    pub platform_is_default: bool,
    /// The platform that the build runs on.
    pub build_platform: String,
    /// The ignore patterns of the context, in order.
    pub ignore: Vec<String>,
    /// `--build-context`, under the names that [`context_name`](super::context_name) makes.
    pub contexts: BTreeMap<String, NamedContext>,
    /// `--no-cache`: RUN, COPY and ADD are done again.
    pub no_cache: bool,
    /// `--no-cache-filter`: the same for these stages alone, by name, and for what begins with their files.
    pub no_cache_stages: Vec<String>,
    /// `--network`: for each RUN that does not choose its own.
    pub network: Network,
    /// `--allow`: what each RUN may ask for.
    pub entitlements: Entitlements,
    /// True when the file is only checked: without a target every stage is looked at, and a base that cannot be
    /// resolved is no mistake. Nothing is concluded from what such a base may hold.
    pub check: bool,
}

impl Default for LowerOptions {
    fn default() -> Self {
        Self {
            target: None,
            build_args: BTreeMap::new(),
            labels: Vec::new(),
            platform: "linux/amd64".to_owned(),
            platform_is_default: true,
            build_platform: "linux/amd64".to_owned(),
            ignore: Vec::new(),
            contexts: BTreeMap::new(),
            no_cache: false,
            no_cache_stages: Vec::new(),
            network: Network::Host,
            entitlements: Entitlements::default(),
            check: false,
        }
    }
}
