//! A client's frontend attributes as the lowering's options.

use std::collections::{BTreeMap, HashMap};

use kiln_builder::PullPolicy;
use kiln_graph::lower::LowerOptions;
use kiln_graph::op::Network;
use kiln_registry::Platform;
use tonic::Status;

/// Attributes of one build argument, label, or context begin with these.
const BUILD_ARG: &str = "build-arg:";
const LABEL: &str = "label:";
pub(super) const CONTEXT: &str = "context:";

/// The build argument that names the host that commands see.
const HOSTNAME_ARG: &str = "BUILDKIT_SANDBOX_HOSTNAME";

/// The attribute that says when registries are asked about images.
const RESOLVE_MODE: &str = "image-resolve-mode";

/// The attribute that names the network of steps that name none.
const NETWORK: &str = "force-network-mode";

/// The lowering's options for one platform; `None` leaves the choice to the Dockerfile's bases.
pub(super) fn read(
    attributes: &HashMap<String, String>,
    platform: Option<&str>,
    host: &str,
    ignore: Vec<String>,
) -> Result<LowerOptions, Status> {
    let get = |key: &str| attributes.get(key).map(String::as_str).filter(|value| !value.is_empty());
    let mut build_args = prefixed(attributes, BUILD_ARG);
    if let Some(name) = get("hostname") {
        build_args.entry(HOSTNAME_ARG.to_owned()).or_insert_with(|| name.to_owned());
    }
    Ok(LowerOptions {
        target: get("target").map(str::to_owned),
        build_args,
        labels: prefixed(attributes, LABEL).into_iter().collect(),
        platform: platform.unwrap_or(host).to_owned(),
        platform_is_default: platform.is_none(),
        build_platform: host.to_owned(),
        ignore,
        // Without a value, every stage; otherwise those that are named.
        no_cache: attributes.get("no-cache").is_some_and(String::is_empty),
        no_cache_stages: get("no-cache")
            .map(|names| names.split(',').map(str::to_owned).collect())
            .unwrap_or_default(),
        network: network(get(NETWORK))?,
        ..LowerOptions::default()
    })
}

/// The platforms that are asked for, normalised.
pub(super) fn platforms(attributes: &HashMap<String, String>) -> Result<Vec<String>, Status> {
    let given = attributes.get("platform").map(String::as_str).unwrap_or_default();
    let given = given.split(',').map(str::trim).filter(|platform| !platform.is_empty());
    given
        .map(|text| {
            let platform = Platform::parse(text);
            let platform = platform.map_err(|error| Status::invalid_argument(error.to_string()))?;
            Ok(platform.to_string())
        })
        .collect()
}

/// The attributes that begin with `prefix`, by what follows it.
pub(super) fn prefixed(attributes: &HashMap<String, String>, prefix: &str) -> BTreeMap<String, String> {
    let stripped = attributes.iter().filter_map(|(key, value)| Some((key.strip_prefix(prefix)?, value)));
    stripped.map(|(key, value)| (key.to_owned(), value.clone())).collect()
}

/// Whether `.git` stays in contexts that are repositories; what is no boolean asks for nothing, as in BuildKit.
pub(super) fn keeps_git_dir(attributes: &HashMap<String, String>) -> bool {
    is_true(attributes, "build-arg:BUILDKIT_CONTEXT_KEEP_GIT_DIR")
}

/// Whether the result is one for several platforms, even if there is only one.
pub(super) fn is_multi(attributes: &HashMap<String, String>) -> bool {
    is_true(attributes, "multi-platform") || is_true(attributes, "build-arg:BUILDKIT_MULTI_PLATFORM")
}

fn is_true(attributes: &HashMap<String, String>, key: &str) -> bool {
    let value = attributes.get(key).map(String::as_str);
    matches!(value, Some("1" | "t" | "T" | "true" | "TRUE" | "True"))
}

/// Whether steps that name no network are to be on the host's, by name.
pub(super) fn names_host_network(attributes: &HashMap<String, String>) -> bool {
    attributes.get(NETWORK).is_some_and(|mode| mode == "host")
}

/// How images are looked for.
pub(super) fn policy(attributes: &HashMap<String, String>) -> Result<PullPolicy, Status> {
    match attributes.get(RESOLVE_MODE).map(String::as_str) {
        Some("pull") => Ok(PullPolicy::Always),
        None | Some("" | "default" | "local") => Ok(PullPolicy::Missing),
        Some(other) => Err(Status::invalid_argument(format!(
            "image-resolve-mode={other}: default, pull or local is meant"
        ))),
    }
}

/// Whether registries are asked about images that are here.
pub(super) fn asks_registries(attributes: &HashMap<String, String>) -> bool {
    attributes.get(RESOLVE_MODE).is_some_and(|mode| mode == "pull")
}

/// The attribute of image sources that says the same, where it is not as usual.
pub(super) fn resolve_mode(attributes: &HashMap<String, String>) -> Option<(String, String)> {
    let mode = attributes.get(RESOLVE_MODE).filter(|mode| matches!(mode.as_str(), "pull" | "local"))?;
    Some(("image.resolvemode".to_owned(), mode.clone()))
}

fn network(mode: Option<&str>) -> Result<Network, Status> {
    match mode {
        None | Some("default" | "sandbox" | "host") => Ok(Network::Host),
        Some("none") => Ok(Network::None),
        Some(other) => {
            Err(Status::invalid_argument(format!("{NETWORK}={other}: host, none or sandbox is meant")))
        }
    }
}
