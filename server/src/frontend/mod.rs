//! What turns a client's request into a result: kiln's own Dockerfile frontend, under the names that clients know.

mod bases;
pub(crate) mod credentials;
pub(crate) mod dockerfile;
mod elsewhere;
mod limits;
mod load;
mod named;
mod options;
mod paths;
mod platforms;
mod questions;
mod report;
mod sources;

use std::collections::HashMap;
use std::sync::Arc;

use tonic::{Code, Status};

use crate::api::gateway::CacheOptionsEntry;
use crate::build::{Build, Outcome};
use crate::failure;
use crate::policy::Policies;
use crate::server::Server;

/// The frontend that is built in.
const DOCKERFILE: &str = "dockerfile.v0";

/// The one that runs an image as a frontend. Images of the Dockerfile's own are answered by kiln's.
const GATEWAY: &str = "gateway.v0";

/// The attribute that lists what a client needs of a frontend, and what there is.
const NEEDED: &str = "frontend.caps";
const CAPABILITIES: &[&str] = &[
    "moby.buildkit.frontend.inputs",
    "moby.buildkit.frontend.subrequests",
    "moby.buildkit.frontend.contexts",
    "moby.buildkit.frontend.gitquerystring",
];

/// The attributes, with the caches that a call imports beside them.
pub(crate) fn with_imports(
    mut attributes: HashMap<String, String>,
    imports: Vec<CacheOptionsEntry>,
) -> HashMap<String, String> {
    if !imports.is_empty() {
        let entry =
            |entry: CacheOptionsEntry| serde_json::json!({ "Type": entry.r#type, "Attrs": entry.attrs });
        let imports: Vec<_> = imports.into_iter().map(entry).collect();
        attributes.insert(crate::caches::IMPORTS.to_owned(), serde_json::Value::from(imports).to_string());
    }
    attributes
}

/// Solves with the frontend of that name.
pub(crate) async fn solve(
    server: &Server,
    build: &Arc<Build>,
    frontend: &str,
    given: (&HashMap<String, String>, &Policies),
) -> Result<Outcome, Status> {
    let solved = named(server, build, frontend, given).await;
    solved.map_err(|status| failure::without_code(&status))
}

async fn named(
    server: &Server,
    build: &Arc<Build>,
    frontend: &str,
    given: (&HashMap<String, String>, &Policies),
) -> Result<Outcome, Status> {
    let (attributes, _) = given;
    needed(attributes)?;
    match frontend {
        DOCKERFILE => dockerfile::solve(server, build, given).await,
        GATEWAY => {
            let source = attributes.get("source").map(String::as_str).unwrap_or_default();
            if is_dockerfile(source) {
                return dockerfile::solve(server, build, given).await;
            }
            Err(Status::unimplemented(format!(
                "frontend image `{source}`: kiln runs no frontends of others; it reads Dockerfiles itself \
                 (source dockerfile.v0 or docker/dockerfile)"
            )))
        }
        other => Err(Status::unimplemented(format!("frontend `{other}`: only dockerfile.v0 is known"))),
    }
}

/// Refuses what a client needs of the frontend and it cannot do.
fn needed(attributes: &HashMap<String, String>) -> Result<(), Status> {
    let needed = attributes.get(NEEDED).map(String::as_str).unwrap_or_default();
    // What follows a plus says whom else a frontend may ask.
    let names = needed.split(',').map(|name| name.split('+').next().unwrap_or(name));
    match names.filter(|name| !name.is_empty()).find(|name| !CAPABILITIES.contains(name)) {
        Some(name) => {
            let message = format!("unsupported frontend capability {name}");
            Err(failure::with_details(Code::Unimplemented, &message, vec![failure::capability(name)]))
        }
        None => Ok(()),
    }
}

/// Whether a frontend image is the Dockerfile's: `dockerfile.v0`, `docker/dockerfile[:tag]`, wherever it is mirrored.
fn is_dockerfile(source: &str) -> bool {
    let name = source.split('@').next().unwrap_or(source);
    let name = match name.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => name,
    };
    name == DOCKERFILE
        || ["docker/dockerfile", "docker/dockerfile-upstream"]
            .iter()
            .any(|known| name == *known || name.ends_with(&format!("/{known}")))
}

#[cfg(test)]
mod tests {
    use super::{is_dockerfile, needed};

    #[test]
    fn what_a_client_needs_and_is_not_there_is_named() {
        let said = |list: &str| {
            let attributes = [("frontend.caps".to_owned(), list.to_owned())].into();
            needed(&attributes).map_err(|status| status.message().to_owned())
        };
        for list in ["", "moby.buildkit.frontend.contexts+forward", "moby.buildkit.frontend.inputs,"] {
            assert_eq!(said(list), Ok(()), "{list}");
        }
        let refused = said("moby.buildkit.frontend.inputs,moby.buildkit.frontend.dreams+forward");
        assert_eq!(refused, Err("unsupported frontend capability moby.buildkit.frontend.dreams".to_owned()));
    }

    #[test]
    fn dockerfile_frontends_are_recognised() {
        for name in [
            "dockerfile.v0",
            "docker/dockerfile",
            "docker/dockerfile:1.7-labs",
            "docker.io/docker/dockerfile:1@sha256:00",
            "mirror:5000/docker/dockerfile-upstream:master",
        ] {
            assert!(is_dockerfile(name), "{name}");
        }
        for name in ["", "tonistiigi/llb", "docker/dockerfiles:1", "xdocker/dockerfile"] {
            assert!(!is_dockerfile(name), "{name}");
        }
    }
}
