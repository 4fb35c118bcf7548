//! What becomes of a built image: names, archives, directories, a registry, and the files that tell scripts.
//!
//! Read here, and told here; [`super::deliver`] does it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use kiln_builder::images::{OutputAttributes, OutputKind};
use kiln_builder::provenance::ProvenanceOptions;
use kiln_cache::ImageRecord;
use kiln_registry::{Descriptor, Reference};
use serde_json::{Map, Value, json};

use super::deliver::Built;
use super::statements;
use crate::commands::destination::Writing;
use crate::error::CliError;
use crate::flags::build::BuildFlags;
use crate::flags::output::{Destination, OutputSpec, Place};
use crate::output::listing;
use crate::output::progress::tracker::Counts;

/// Everything that is to be done with the image.
#[derive(Debug)]
pub struct Results {
    /// The names that it gets here, and wherever it goes.
    pub names: Vec<Reference>,
    /// Where it goes.
    pub outputs: Vec<OutputSpec>,
    /// What is asked of its provenance.
    pub provenance: Option<ProvenanceOptions>,
}

impl Results {
    /// Reads the flags; wrong names and outputs are found before anything is built.
    pub fn read(flags: &BuildFlags) -> Result<Self, CliError> {
        let outputs = outputs(flags)?;
        let mut names = read_names(&flags.tags)?;
        for output in outputs.iter().filter(|output| output.place == Place::Store) {
            for name in output.attributes.names.iter().filter(|_| output.attributes.store) {
                check_name(name)?;
                if !names.contains(name) {
                    names.push(name.clone());
                }
            }
        }
        let is_nameless = |output: &&OutputSpec| {
            output.attributes.push
                && output.attributes.names.is_empty()
                && output.attributes.dangling.is_none()
        };
        if names.is_empty() && outputs.iter().any(|output| is_nameless(&output)) {
            let message = "an image without a name cannot be pushed";
            return Err(CliError::usage_with_hint(message, "name it with -t"));
        }
        check_outputs(&outputs)?;
        let provenance = statements::wanted(flags);
        let results = Self { names, outputs, provenance };
        results.check_statements(flags)?;
        Ok(results)
    }

    /// The outputs that go to registries.
    pub fn pushes(&self) -> impl Iterator<Item = &OutputSpec> {
        self.outputs.iter().filter(|output| output.attributes.push)
    }

    /// Whether anybody needs to know what the image was made of.
    pub fn needs_capture(&self) -> bool {
        self.provenance.is_some() || self.outputs.iter().any(|output| output.attributes.rewrite_timestamps)
    }

    /// What is said about the image needs a place.
    fn check_statements(&self, flags: &BuildFlags) -> Result<(), CliError> {
        let has_manifest = |output: &OutputSpec| match output.place {
            Place::Layout(_) => true,
            Place::Archive(_) => output.attributes.kind != OutputKind::Tar,
            _ => output.attributes.push,
        };
        let hint = "push it (--push), or write it somewhere (--output type=oci,dest=FILE)";
        if !flags.annotation.is_empty() && !self.outputs.iter().any(has_manifest) {
            let message = "--annotation: an image that only stays in the store has no manifest";
            return Err(CliError::usage_with_hint(message, hint));
        }
        let has_place = |output: &OutputSpec| {
            has_manifest(output) || !matches!(output.place, Place::Store | Place::Nowhere)
        };
        let is_told = self.outputs.iter().any(has_place) || flags.metadata_file.is_some();
        if self.provenance.is_some() && !is_told {
            let message = "--provenance: an image that only stays in the store has no place for it";
            return Err(CliError::usage_with_hint(message, hint));
        }
        Ok(())
    }

    /// True when an output takes standard output.
    pub fn uses_stdout(&self) -> bool {
        self.outputs.iter().any(OutputSpec::uses_stdout)
    }

    /// What was made and what it took, for people.
    pub fn summary(&self, record: &ImageRecord, counts: Counts, elapsed: Duration) -> String {
        let Counts { steps, cached } = counts;
        let id = listing::id(record.id.as_ref(), false);
        let plural = if steps == 1 { "step" } else { "steps" };
        let mut text =
            format!("built {id} in {:.1}s: {steps} {plural}, {cached} cached", elapsed.as_secs_f64());
        let did = if self.pushes().next().is_some() { "pushed" } else { "named" };
        for name in &self.names {
            text.extend(["\n", did, " ", &name.familiar()]);
        }
        for output in &self.outputs {
            if let Some(place) = place(output) {
                text.extend(["\nwrote ", &place.display().to_string()]);
            }
        }
        text
    }

    fn metadata(&self, built: &Built, made: Option<&Descriptor>) -> Value {
        let mut fields = Map::new();
        fields.insert("containerimage.config.digest".to_owned(), built.record.id.to_string().into());
        if let Some(made) = made {
            fields.insert("containerimage.digest".to_owned(), made.digest().to_string().into());
            let descriptor = json!({
                "mediaType": made.media_type().to_string(),
                "digest": made.digest().to_string(),
                "size": made.size(),
            });
            fields.insert("containerimage.descriptor".to_owned(), descriptor);
        }
        if let Some(provenance) = built.attestations.first() {
            fields.insert("buildx.build.provenance".to_owned(), provenance.predicate.clone());
        }
        if !self.names.is_empty() {
            let names: Vec<String> = self.names.iter().map(ToString::to_string).collect();
            fields.insert("image.name".to_owned(), names.join(",").into());
        }
        Value::Object(fields)
    }
}

/// The outputs, with what other flags say about them.
fn outputs(flags: &BuildFlags) -> Result<Vec<OutputSpec>, CliError> {
    let mut outputs = flags.outputs.clone();
    let is_image =
        |output: &OutputSpec| output.attributes.kind == OutputKind::Image && output.place == Place::Store;
    if flags.push {
        if !outputs.iter().any(is_image) {
            let read = OutputAttributes::read(OutputKind::Image, &BTreeMap::new());
            let attributes = read.map_err(|error| CliError::usage(error.to_string()))?;
            outputs.push(OutputSpec { place: Place::Store, attributes });
        }
        outputs.iter_mut().filter(|output| is_image(output)).for_each(|output| output.attributes.push = true);
    }
    for annotation in &flags.annotation {
        for output in &mut outputs {
            let is_files = matches!(output.attributes.kind, OutputKind::Local | OutputKind::Tar);
            for key in annotation.keys.iter().filter(|_| !is_files) {
                let added = output.attributes.packing.annotations.add(key, &annotation.value);
                added.map_err(|error| CliError::usage(error.to_string()))?;
            }
        }
    }
    Ok(outputs)
}

fn check_name(name: &Reference) -> Result<(), CliError> {
    if name.digest().is_none() {
        return Ok(());
    }
    let name = name.familiar();
    Err(CliError::usage(format!("`{name}` names content by its digest; a tag is needed")))
}

/// The names, each once.
fn read_names(written: &[String]) -> Result<Vec<Reference>, CliError> {
    let mut names = Vec::new();
    for name in written {
        let reference = Reference::parse(name).map_err(|error| CliError::usage(error.to_string()))?;
        check_name(&reference)?;
        if !names.contains(&reference) {
            names.push(reference);
        }
    }
    Ok(names)
}

fn check_outputs(outputs: &[OutputSpec]) -> Result<(), CliError> {
    if outputs.iter().filter(|output| output.uses_stdout()).count() > 1 {
        return Err(CliError::usage("only one output can go to standard output"));
    }
    for output in outputs {
        if let Place::Archive(to) = &output.place {
            Writing::begin(to)?;
        }
    }
    Ok(())
}

/// The file or directory that the output made.
fn place(output: &OutputSpec) -> Option<&Path> {
    match &output.place {
        Place::Archive(Destination::File(path)) | Place::Layout(path) | Place::Directory(path) => Some(path),
        _ => None,
    }
}

/// Writes `--iidfile` and `--metadata-file`.
pub fn write_files(
    flags: &BuildFlags,
    built: &Built,
    results: &Results,
    made: Option<&Descriptor>,
) -> Result<(), CliError> {
    if let Some(path) = &flags.iidfile {
        std::fs::write(path, built.record.id.to_string()).map_err(CliError::file("write", path))?;
    }
    if let Some(path) = &flags.metadata_file {
        let text = format!("{:#}\n", results.metadata(built, made));
        std::fs::write(path, text).map_err(CliError::file("write", path))?;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn results(tags: &[&str], outputs: &[&str]) -> Result<Results, CliError> {
        Results::read(&BuildFlags {
            tags: tags.iter().map(|&tag| tag.to_owned()).collect(),
            outputs: outputs.iter().map(|output| OutputSpec::parse(output).unwrap()).collect(),
            ..BuildFlags::default()
        })
    }

    fn record() -> ImageRecord {
        ImageRecord {
            id: format!("sha256:{}", "0123456789abcdef".repeat(4)).parse().unwrap(),
            manifest: None,
            layers: Vec::new(),
            layer_blobs: Vec::new(),
            origin: None,
            layer_origins: std::collections::BTreeMap::new(),
            platform: "linux/amd64".to_owned(),
            created: None,
            size: 0,
        }
    }

    #[test]
    fn names_come_from_tags_and_outputs_once_each() {
        let results =
            results(&["a", "docker.io/library/a:latest"], &["type=image,name=b:1,push=true"]).unwrap();
        let names: Vec<_> = results.names.iter().map(Reference::familiar).collect();
        assert_eq!(names, ["a:latest", "b:1"]);
        assert!(results.pushes().next().is_some());
    }

    #[test]
    fn wrong_wishes_are_found_before_the_build() {
        assert!(results(&["A:1"], &[]).is_err());
        assert!(results(&[], &["type=registry"]).unwrap_err().to_string().contains("without a name"));
        assert!(results(&[], &["-", "type=oci,dest=-"]).unwrap_err().to_string().contains("only one"));
        let digest = format!("a@sha256:{}", "0".repeat(64));
        assert!(results(&[&digest], &[]).unwrap_err().to_string().contains("a tag is needed"));
    }

    #[test]
    fn the_summary_says_what_was_done() {
        let results = results(&["app:1"], &["type=oci,dest=app.tar"]).unwrap();
        let text = results.summary(&record(), Counts { steps: 7, cached: 5 }, Duration::from_millis(1234));
        assert_eq!(text, "built 0123456789ab in 1.2s: 7 steps, 5 cached\nnamed app:1\nwrote app.tar");
    }

    #[test]
    fn metadata_names_the_image() {
        let results = results(&["app:1"], &[]).unwrap();
        let built = Built { record: record(), base_layers: 0, epoch: None, attestations: Vec::new() };
        let metadata = results.metadata(&built, None);
        assert_eq!(metadata["image.name"], "docker.io/library/app:1");
        assert_eq!(metadata["containerimage.config.digest"], record().id.to_string());
    }

    #[test]
    fn what_is_said_about_an_image_needs_a_place() {
        use crate::flags::attest::{AnnotationSpec, ProvenanceSpec};
        let read = |outputs: &[&str], annotated: bool| {
            Results::read(&BuildFlags {
                tags: vec!["a".to_owned()],
                outputs: outputs.iter().map(|output| OutputSpec::parse(output).unwrap()).collect(),
                annotation: annotated.then(|| AnnotationSpec::parse("a=b").unwrap()).into_iter().collect(),
                provenance: (!annotated).then(|| ProvenanceSpec::parse("true").unwrap()),
                ..BuildFlags::default()
            })
        };
        for outputs in [&[][..], &["type=cacheonly"], &["type=docker"]] {
            assert!(read(outputs, true).unwrap_err().to_string().starts_with("--annotation"), "{outputs:?}");
            assert!(read(outputs, false).unwrap_err().to_string().starts_with("--provenance"), "{outputs:?}");
        }
        assert!(read(&["type=tar,dest=-"], true).is_err() && read(&["type=tar,dest=-"], false).is_ok());
        let annotated = read(&["type=oci,dest=-", "type=registry"], true).unwrap();
        assert!(annotated.outputs.iter().all(|output| !output.attributes.packing.annotations.is_empty()));
    }
}
