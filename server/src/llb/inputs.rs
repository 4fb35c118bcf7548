//! Results of other graphs that a frontend is given as contexts by name (`context:NAME=input:INPUT`): each is solved and stands
//! for an image that only this build knows.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kiln_graph::image::ImageConfig;
use prost::Message as _;
use tonic::{Code, Status};

use super::definition::digest;
use super::solve::result_of;
use crate::api::pb;
use crate::build::{Build, Solved};
use crate::export::made::Remembered;
use crate::failure::told;
use crate::frontend::dockerfile::CONFIG;
use crate::policy::{IMAGE, Policies};
use crate::server::Server;

/// What attributes that name a context begin with, and those that say what an input is configured with.
const CONTEXT: &str = "context:";
const METADATA: &str = "input-metadata:";

/// The scheme of a context that is an input.
const INPUT: &str = "input:";

/// The registry of images that only a build knows: it cannot exist (RFC 2606).
const NOWHERE: &str = "kiln.invalid/input";

/// What stands for results of this daemon in the definitions that their clients are given; their ids follow.
const RESULT: &str = "kiln.invalid/result/";

/// How many hexadecimal digits an id has.
const ID_DIGITS: usize = 64;

/// A graph whose result is this one, for clients that give it to other builds.
pub(crate) fn definition_of(solved: &Solved) -> pb::Definition {
    let id = solved.record.id.to_string();
    let identifier = format!("{IMAGE}{RESULT}{}", id.trim_start_matches("sha256:"));
    let source = pb::SourceOp { identifier, ..pb::SourceOp::default() };
    let platform = Some(crate::control::platform(&solved.record.platform));
    let op = pb::Op { op: Some(pb::op::Op::Source(source)), platform, ..pb::Op::default() }.encode_to_vec();
    let input = pb::Input { digest: digest(&op), index: 0 };
    let end = pb::Op { inputs: vec![input], ..pb::Op::default() }.encode_to_vec();
    // To clients, a definition without metadata is none.
    let metadata = HashMap::from([(digest(&op), pb::OpMetadata::default())]);
    pb::Definition { def: vec![op, end], metadata, source: None }
}

/// Whether a source is the result of a build that a client was given it by.
pub(super) fn is_given(given: &Remembered, identifier: &str) -> bool {
    let id = identifier.strip_prefix(IMAGE).and_then(result_id);
    id.is_some_and(|id| given.gave(&id))
}

/// Whether a reference is called like a result, and is none's.
pub(super) fn is_broken(reference: &str) -> bool {
    reference.starts_with(RESULT) && result_id(reference).is_none()
}

/// The id of the image that such a definition speaks of: the whole of it, for its beginning is that of other images, too.
pub(crate) fn result_id(reference: &str) -> Option<String> {
    let id = reference.strip_prefix(RESULT)?;
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    (id.len() == ID_DIGITS && id.bytes().all(is_digit)).then(|| format!("sha256:{id}"))
}

/// The attributes with images in place of inputs, which the build knows from then on.
pub(crate) async fn as_images(
    server: &Server,
    build: &Arc<Build>,
    inputs: &HashMap<String, pb::Definition>,
    (given, policies): (&HashMap<String, String>, &Policies),
) -> Result<HashMap<String, String>, Status> {
    let mut attributes = given.clone();
    let mut images: HashMap<String, String> = HashMap::new();
    let named: Vec<(String, String)> = attributes
        .iter()
        .filter(|(key, _)| key.starts_with(CONTEXT))
        .filter_map(|(key, value)| Some((key.clone(), value.strip_prefix(INPUT)?.to_owned())))
        .collect();
    for (key, input) in named {
        let definition = inputs.get(&input).ok_or_else(|| {
            Status::invalid_argument(format!("{key}={INPUT}{input}: there is no such input"))
        })?;
        if !images.contains_key(&input) {
            let metadata = attributes.get(&format!("{METADATA}{input}")).map(String::as_str);
            let solved = result_of(server, build, definition, (given, policies)).await?;
            let solved = with_metadata(server, solved, &input, metadata)?;
            let told = [definition.encode_to_vec(), solved.record.id.to_string().into_bytes()].concat();
            let reference = format!("{NOWHERE}/{}", digest(&told).trim_start_matches("sha256:"));
            build.know(&reference, &solved);
            images.insert(input.clone(), reference);
        }
        if let Some(reference) = images.get(&input) {
            attributes.insert(key, format!("{IMAGE}{reference}"));
        }
    }
    Ok(attributes)
}

/// The input as the image that its client says that it is.
fn with_metadata(
    server: &Server,
    solved: Arc<Solved>,
    input: &str,
    metadata: Option<&str>,
) -> Result<Arc<Solved>, Status> {
    let Some(metadata) = metadata else { return Ok(solved) };
    let wrong = |detail: String| Status::invalid_argument(format!("{METADATA}{input}: {detail}"));
    let values: HashMap<String, Option<String>> =
        serde_json::from_str(metadata).map_err(|error| wrong(error.to_string()))?;
    let Some(Some(config)) = values.get(CONFIG) else { return Ok(solved) };
    let config = STANDARD.decode(config).map_err(|error| wrong(format!("{CONFIG}: {error}")))?;
    let config: ImageConfig =
        serde_json::from_slice(&config).map_err(|error| wrong(format!("{CONFIG}: {error}")))?;
    configured(server, &solved, config)
}

/// A result with another configuration.
pub(crate) fn configured(
    server: &Server,
    solved: &Solved,
    config: ImageConfig,
) -> Result<Arc<Solved>, Status> {
    let images = server.builder.images();
    let record = images.configured(&solved.record, config).map_err(|error| told(Code::Internal, &error))?;
    let config = images.config(&record).map_err(|error| told(Code::Internal, &error))?;
    let config = serde_json::to_vec(&config).map_err(|error| told(Code::Internal, &error))?;
    Ok(Arc::new(Solved { record, config }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_named_by_whole_ids() {
        let id = "0123456789abcdef".repeat(4);
        assert_eq!(result_id(&format!("{RESULT}{id}")), Some(format!("sha256:{id}")));
        for other in
            ["", "012345", &id[1..], &format!("{id}0"), &id.to_uppercase(), &format!("{}:x", &id[2..])]
        {
            let reference = format!("{RESULT}{other}");
            assert!(result_id(&reference).is_none() && is_broken(&reference), "{reference}");
            assert!(!is_given(&Remembered::default(), &format!("{IMAGE}{reference}")), "{reference}");
        }
        assert!(result_id(&format!("kiln.invalid/input/{id}")).is_none());
        assert!(!is_given(&Remembered::default(), &format!("{IMAGE}{RESULT}{id}")));
        assert!(!is_broken("kiln.invalid/input/0") && !is_broken(&format!("{RESULT}{id}")));
    }
}
