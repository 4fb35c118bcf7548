//! A client's frontend attributes as the lowering's options.

use std::collections::{BTreeMap, HashMap};

use kiln_graph::lower::LowerOptions;
use kiln_graph::op::Network;
use tonic::Status;

/// Attributes of one build argument, label, or context begin with these.
const BUILD_ARG: &str = "build-arg:";
const LABEL: &str = "label:";
pub(super) const CONTEXT: &str = "context:";

/// The lowering's options for one platform; `None` leaves the choice to the Dockerfile's bases.
pub(super) fn read(
    attributes: &HashMap<String, String>,
    platform: Option<&str>,
    host: &str,
    ignore: Vec<String>,
) -> Result<LowerOptions, Status> {
    let get = |key: &str| attributes.get(key).map(String::as_str).filter(|value| !value.is_empty());
    Ok(LowerOptions {
        target: get("target").map(str::to_owned),
        build_args: prefixed(attributes, BUILD_ARG).into_iter().collect(),
        labels: prefixed(attributes, LABEL).into_iter().collect(),
        platform: platform.unwrap_or(host).to_owned(),
        platform_is_default: platform.is_none(),
        build_platform: host.to_owned(),
        ignore,
        // Without a value, every stage; otherwise those that are named.
        no_cache: attributes.get("no-cache").is_some_and(String::is_empty),
        no_cache_stages: get("no-cache").map(|names| names.split(',').map(str::to_owned).collect()).unwrap_or_default(),
        network: network(get("force-network-mode"))?,
        ..LowerOptions::default()
    })
}

/// The platforms that are asked for.
pub(super) fn platforms(attributes: &HashMap<String, String>) -> Vec<String> {
    let given = attributes.get("platform").map(String::as_str).unwrap_or_default();
    given.split(',').map(str::trim).filter(|platform| !platform.is_empty()).map(str::to_owned).collect()
}

/// The attributes that begin with `prefix`, by what follows it.
pub(super) fn prefixed(attributes: &HashMap<String, String>, prefix: &str) -> BTreeMap<String, String> {
    let stripped = attributes.iter().filter_map(|(key, value)| Some((key.strip_prefix(prefix)?, value)));
    stripped.map(|(key, value)| (key.to_owned(), value.clone())).collect()
}

fn network(mode: Option<&str>) -> Result<Network, Status> {
    match mode {
        None | Some("default" | "sandbox" | "host") => Ok(Network::Host),
        Some("none") => Ok(Network::None),
        Some(other) => Err(Status::invalid_argument(format!(
            "force-network-mode={other}: host, none or sandbox is meant"
        ))),
    }
}
