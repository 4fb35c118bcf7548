//! What is stated about the images of a build: provenance, if the client asks for it. What else it asks for is refused.

use std::collections::HashMap;

use kiln_builder::images::{Attestation, boolean};
use kiln_builder::provenance::{ProvenanceMode, ProvenanceOptions};
use kiln_cache::ImageRecord;
use tonic::{Code, Status};

use super::made::Made;
use crate::build::Build;
use crate::failure::told;

/// What attributes begin with that ask for statements, in clients' words and in build arguments'.
const ATTEST: &str = "attest:";
const ARGUMENT: &str = "build-arg:BUILDKIT_ATTEST_";

const PROVENANCE: &str = "provenance";

/// What is asked of the provenance; none is made unless it is asked for.
pub(super) fn wanted(attributes: &HashMap<String, String>) -> Result<Option<ProvenanceOptions>, Status> {
    let mut wanted = None;
    for (key, value) in attributes {
        let kind = key.strip_prefix(ATTEST).or_else(|| key.strip_prefix(ARGUMENT));
        match kind.map(str::to_ascii_lowercase).as_deref() {
            None => {}
            Some(PROVENANCE | "sbom") if is_disabled(value) => {}
            Some(PROVENANCE) => {
                let options = ProvenanceOptions::read(value.split(','));
                wanted = Some(options.map_err(|error| told(Code::InvalidArgument, &error))?);
            }
            Some("sbom") => {
                return Err(Status::unimplemented(
                    "attest:sbom: kiln runs no scanner of packages; build without --sbom",
                ));
            }
            Some(other) => {
                return Err(Status::invalid_argument(format!("unknown attestation type \"{other}\"")));
            }
        }
    }
    Ok(wanted)
}

/// Whether a client says that it wants none.
fn is_disabled(value: &str) -> bool {
    let mut switched = value.split(',').filter_map(|field| field.strip_prefix("disabled="));
    switched.next_back().and_then(boolean) == Some(true)
}

/// What is stated about each image, in their order.
pub(super) fn make(
    build: &Build,
    host: &str,
    options: &ProvenanceOptions,
    made: &[Made],
) -> Result<Vec<Vec<Attestation>>, Status> {
    made.iter()
        .map(|made| {
            let invocation = build.making.invocation(&build.id, made, &build.attributes, host);
            let predicate = made.capture.predicate(options, &invocation);
            let (kind, predicate) = predicate.map_err(|error| told(Code::FailedPrecondition, &error))?;
            Ok(vec![Attestation {
                predicate_type: kind.to_owned(),
                predicate,
                filename: options.filename.clone(),
                inline_only: options.inline_only,
            }])
        })
        .collect()
}

/// Keeps everything that is known for the history, whatever the client asked for.
pub(super) fn keep(
    build: &Build,
    host: &str,
    builder: Option<&ProvenanceOptions>,
    made: &[(&str, Made)],
) -> Result<(), Status> {
    let builder = builder.map(|options| options.builder.clone()).unwrap_or_default();
    let options = ProvenanceOptions { mode: ProvenanceMode::Max, builder, ..ProvenanceOptions::default() };
    for (platform, made) in made {
        let all = make(build, host, &options, std::slice::from_ref(made))?;
        for attestation in all.into_iter().flatten() {
            let bytes = serde_json::to_vec_pretty(&attestation.predicate);
            let bytes = bytes.map_err(|error| told(Code::Internal, &error))?;
            build.making.keep(|results| {
                results.provenances.push(((*platform).to_owned(), attestation.predicate_type.clone(), bytes));
            });
        }
    }
    Ok(())
}

/// How each image of a build was made.
pub(super) fn made(build: &Build, records: &[ImageRecord]) -> Vec<Made> {
    records.iter().map(|record| build.making.of(record, records)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn wanted_of(key: &str, value: &str) -> Result<Option<ProvenanceOptions>, Status> {
        wanted(&HashMap::from([(key.to_owned(), value.to_owned())]))
    }

    #[test]
    fn provenance_is_made_where_it_is_asked_for() {
        assert_eq!(wanted_of("build-arg:A", "b").unwrap(), None);
        let asked = wanted_of("attest:provenance", "mode=min,inline-only=true").unwrap().unwrap();
        assert!(asked.inline_only && asked.mode == ProvenanceMode::Min);
        assert_eq!(wanted_of("attest:provenance", "type=provenance,disabled=true").unwrap(), None);
        let said = "type=provenance,disabled=false";
        assert_eq!(wanted_of("attest:provenance", said).unwrap(), Some(ProvenanceOptions::default()));
        assert_eq!(wanted_of("attest:provenance", "").unwrap(), Some(ProvenanceOptions::default()));
        assert!(wanted_of("build-arg:BUILDKIT_ATTEST_PROVENANCE", "").unwrap().is_some());
    }

    #[test]
    fn other_statements_are_refused_by_name() {
        for (key, value, named) in [
            ("attest:sbom", "", "attest:sbom"),
            ("attest:weather", "", "\"weather\""),
            ("attest:provenance", "mode=most", "mode=most"),
        ] {
            assert!(wanted_of(key, value).unwrap_err().message().contains(named));
        }
    }
}
