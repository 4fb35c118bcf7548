//! What a client says about an output: which kind it is, and its attributes, which are the command line's.

use std::collections::BTreeMap;

use kiln_builder::images::{OutputAttributes, OutputKind};
use tonic::Status;

use crate::api::control::Exporter;

/// Reads what is said about an output.
pub(super) fn read(exporter: &Exporter) -> Result<OutputAttributes, Status> {
    let kind = match exporter.r#type.as_str() {
        "image" => OutputKind::Image,
        "oci" => OutputKind::Oci,
        "docker" => OutputKind::Docker,
        "local" => OutputKind::Local,
        "tar" => OutputKind::Tar,
        other => {
            return Err(Status::unimplemented(format!(
                "output type={other}: it may be one of image, oci, docker, local, tar"
            )));
        }
    };
    let given: BTreeMap<String, String> = exporter.attrs.clone().into_iter().collect();
    let attributes = OutputAttributes::read(kind, &given);
    let attributes = attributes.map_err(|error| Status::invalid_argument(error.to_string()))?;
    if attributes.push && attributes.names.is_empty() && attributes.dangling.is_none() {
        return Err(Status::invalid_argument("an image without a name cannot be pushed"));
    }
    Ok(attributes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn exporter(kind: &str, pairs: &[(&str, &str)]) -> Exporter {
        let attrs = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Exporter { r#type: kind.to_owned(), attrs }
    }

    #[test]
    fn what_is_not_met_is_refused_by_name() {
        assert!(read(&exporter("image", &[("name", "a"), ("push", "true")])).is_ok());
        for (kind, pairs, named) in [
            ("moby", &[][..], "type=moby"),
            ("image", &[("compression", "estargz")], "compression=estargz"),
            ("image", &[("push", "true")], "without a name"),
        ] {
            let refused = read(&exporter(kind, pairs)).unwrap_err();
            assert!(refused.message().contains(named), "{refused}");
        }
    }
}
