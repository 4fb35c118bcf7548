//! Results on their way: what a solve gives a client names for, and what the client returns under these names.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::try_join_all;
use tonic::Status;

use crate::api::gateway::result::Result as Refs;
use crate::api::gateway::{Ref, RefMap, RefMapDeprecated, Result as PbResult, SolveResponse};
use crate::api::pb::Definition;
use crate::build::{Build, Outcome, Solved};
use crate::frontend::dockerfile::CONFIG;
use crate::llb;
use crate::policy::Policies;
use crate::results::Held;
use crate::server::Server;

/// How a client takes results: old ones know less.
#[derive(Clone, Copy)]
pub(super) struct Style {
    /// Names of results with their graphs.
    pub(super) array: bool,
    /// Results of several parts.
    pub(super) returns: bool,
}

/// What a client that ends its build with a solve says of its result.
pub(super) fn exporter_attributes(json: &[u8]) -> Result<HashMap<String, Vec<u8>>, Status> {
    if json.is_empty() {
        return Ok(HashMap::new());
    }
    let wrong = |detail: String| Status::invalid_argument(format!("ExporterAttr: {detail}"));
    let values: HashMap<String, Option<String>> =
        serde_json::from_slice(json).map_err(|error| wrong(error.to_string()))?;
    let decoded = values.into_iter().map(|(key, value)| {
        let bytes = STANDARD.decode(value.unwrap_or_default());
        bytes.map(|bytes| (key.clone(), bytes)).map_err(|error| wrong(format!("{key}: {error}")))
    });
    decoded.collect()
}

/// What a solve results in, with names for what it consists of.
#[derive(Default)]
pub(super) struct Parts {
    /// By platform; one without a name when there is only one.
    pub(super) named: Vec<(String, Ref)>,
    /// What goes with it.
    pub(super) metadata: HashMap<String, Vec<u8>>,
}

impl Parts {
    /// What a frontend has solved.
    pub(super) fn of(build: &Build, outcome: Outcome) -> Self {
        let named = outcome.images.into_iter().map(|(platform, solved)| {
            let def = Some(llb::definition_of(&solved));
            build.making.give(&solved.record);
            (platform, Ref { id: build.keep(Arc::new(Held::solved(solved))), def })
        });
        Self { named: named.collect(), metadata: outcome.metadata }
    }
}

/// A graph under a name. It is solved when somebody needs its result, or `now`.
pub(super) async fn graph(
    server: &Server,
    build: &Arc<Build>,
    (definition, attributes, policies): (Definition, HashMap<String, String>, Policies),
    now: bool,
) -> Result<(String, Ref), Status> {
    llb::check(server, &definition)?;
    let held = Arc::new(Held::graph(definition.clone(), attributes, policies));
    if now {
        held.get(server, build).await?;
    }
    Ok((String::new(), Ref { id: build.keep(held), def: Some(definition) }))
}

/// The answer to a solve.
pub(super) fn answer(solved: Parts, style: Style) -> Result<SolveResponse, Status> {
    let Parts { mut named, metadata } = solved;
    let mut only = String::new();
    let refs = match named.as_mut_slice() {
        [] if style.array => Refs::Ref(Ref::default()),
        [] => Refs::RefDeprecated(String::new()),
        [(platform, reference)] if platform.is_empty() => {
            let reference = std::mem::take(reference);
            only.clone_from(&reference.id);
            if style.array { Refs::Ref(reference) } else { Refs::RefDeprecated(reference.id) }
        }
        _ if !style.returns => {
            return Err(Status::failed_precondition(
                "the result has several parts, and the client takes only one",
            ));
        }
        _ if style.array => Refs::Refs(RefMap { refs: named.into_iter().collect() }),
        _ => {
            let refs = named.into_iter().map(|(platform, reference)| (platform, reference.id)).collect();
            Refs::RefsDeprecated(RefMapDeprecated { refs })
        }
    };
    let result = PbResult { result: Some(refs), metadata, attestations: HashMap::new() };
    let reference = if style.returns { String::new() } else { only };
    Ok(SolveResponse { r#ref: reference, result: Some(result) })
}

/// What a client returned.
pub(super) async fn returned(
    server: &Server,
    build: &Arc<Build>,
    result: PbResult,
) -> Result<Outcome, Status> {
    if result.attestations.values().any(|stated| !stated.attestation.is_empty()) {
        return Err(Status::unimplemented("the result has attestations of its own, which are not exported"));
    }
    let named: Vec<(String, String)> = match result.result {
        None => Vec::new(),
        Some(Refs::RefDeprecated(id)) => vec![(String::new(), id)],
        Some(Refs::Ref(reference)) => vec![(String::new(), reference.id)],
        Some(Refs::RefsDeprecated(refs)) => refs.refs.into_iter().collect(),
        Some(Refs::Refs(refs)) => refs.refs.into_iter().map(|(key, reference)| (key, reference.id)).collect(),
    };
    outcome(server, build, named, result.metadata).await
}

/// What names of results stand for, all of it solved by now, as it is exported.
pub(super) async fn outcome(
    server: &Server,
    build: &Arc<Build>,
    named: Vec<(String, String)>,
    metadata: HashMap<String, Vec<u8>>,
) -> Result<Outcome, Status> {
    let named = named.into_iter().filter(|(_, id)| !id.is_empty());
    let solving = named.map(async |(platform, id)| {
        let solved = build.result(&id)?.get(server, build).await?;
        Ok::<_, Status>((platform, solved))
    });
    let solved = try_join_all(solving).await?;
    let images = solved.into_iter().map(|(platform, solved)| {
        let image = configured(server, Arc::clone(&solved), &platform, &metadata)?;
        // The shared caches are written for the image that is exported.
        if let Some(caches) = build.caches_of(&solved.record.id) {
            build.keep_caches(&image.record.id, caches);
        }
        Ok((platform, image))
    });
    let images = images.collect::<Result<_, Status>>()?;
    Ok(Outcome { images, metadata })
}

/// A result with the configuration that the client gives it, if it gives it one.
fn configured(
    server: &Server,
    solved: Arc<Solved>,
    platform: &str,
    metadata: &HashMap<String, Vec<u8>>,
) -> Result<Arc<Solved>, Status> {
    let own = metadata.get(&format!("{CONFIG}/{platform}")).or_else(|| metadata.get(CONFIG));
    let Some(given) = own.filter(|given| **given != solved.config && !given.is_empty()) else {
        return Ok(solved);
    };
    let config = serde_json::from_slice(given).map_err(|error| {
        Status::invalid_argument(format!("{CONFIG} is not an image's configuration: {error}"))
    })?;
    llb::configured(server, &solved, config)
}
