//! What becomes of a built image: names, archives, directories, a registry, and the files that tell scripts.

use std::path::Path;
use std::time::Duration;

use kiln_builder::Progress;
use kiln_builder::images::{ArchiveFormat, Images, Pushed};
use kiln_cache::ImageRecord;
use kiln_registry::Reference;
use serde_json::{Map, Value};

use crate::commands::destination::Writing;
use crate::error::CliError;
use crate::flags::build::BuildFlags;
use crate::flags::output::{Destination, OutputSpec};
use crate::output::listing;
use crate::output::progress::tracker::Counts;

/// Everything that is to be done with the image.
#[derive(Debug)]
pub struct Results {
    names: Vec<Reference>,
    push: bool,
    outputs: Vec<OutputSpec>,
}

impl Results {
    /// Reads the flags; wrong names and outputs are found before anything is built.
    pub fn read(flags: &BuildFlags) -> Result<Self, CliError> {
        let mut push = flags.push;
        let mut written = flags.tags.clone();
        for output in &flags.outputs {
            if let OutputSpec::Image { names, push: wanted } = output {
                written.extend(names.iter().cloned());
                push |= wanted;
            }
        }
        let names = read_names(&written)?;
        if push && names.is_empty() {
            let message = "an image without a name cannot be pushed";
            return Err(CliError::usage_with_hint(message, "name it with -t"));
        }
        check_outputs(&flags.outputs)?;
        Ok(Self { names, push, outputs: flags.outputs.clone() })
    }

    /// True when an output takes standard output.
    pub fn uses_stdout(&self) -> bool {
        self.outputs.iter().any(OutputSpec::uses_stdout)
    }

    /// Exports, then names, then pushes: whatever fails, no name points to an image that is not what was asked for.
    pub async fn deliver(
        &self,
        record: &ImageRecord,
        images: &Images,
        progress: &Progress,
    ) -> Result<Option<Pushed>, CliError> {
        for output in &self.outputs {
            self.export(output, record, images, progress).await?;
        }
        for name in &self.names {
            images.name(record, name)?;
        }
        let mut pushed = None;
        for name in self.names.iter().filter(|_| self.push) {
            pushed = Some(images.push(record, name, progress).await?);
        }
        Ok(pushed)
    }

    async fn export(
        &self,
        output: &OutputSpec,
        record: &ImageRecord,
        images: &Images,
        progress: &Progress,
    ) -> Result<(), CliError> {
        match output {
            OutputSpec::Image { .. } | OutputSpec::Docker(None) => Ok(()),
            OutputSpec::Oci(to) => self.archive(ArchiveFormat::Oci, to, record, images, progress).await,
            OutputSpec::Docker(Some(to)) => {
                self.archive(ArchiveFormat::Docker, to, record, images, progress).await
            }
            OutputSpec::Local(directory) => Ok(images.export_directory(record, directory, progress).await?),
            OutputSpec::Tar(to) => {
                let writing = Writing::begin(to)?;
                let writer = images.export_tar(record, writing.writer()?, progress).await?;
                writing.finish(writer)
            }
        }
    }

    async fn archive(
        &self,
        format: ArchiveFormat,
        destination: &Destination,
        record: &ImageRecord,
        images: &Images,
        progress: &Progress,
    ) -> Result<(), CliError> {
        let writing = Writing::begin(destination)?;
        let selected = vec![(record.clone(), self.names.clone())];
        let writer = images.save(selected, format, writing.writer()?, progress).await?;
        writing.finish(writer)
    }

    /// What was made and what it took, for people.
    pub fn summary(&self, record: &ImageRecord, counts: Counts, elapsed: Duration) -> String {
        let Counts { steps, cached } = counts;
        let id = listing::id(record.id.as_ref(), false);
        let plural = if steps == 1 { "step" } else { "steps" };
        let mut text =
            format!("built {id} in {:.1}s: {steps} {plural}, {cached} cached", elapsed.as_secs_f64());
        let did = if self.push { "pushed" } else { "named" };
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

    fn metadata(&self, record: &ImageRecord, pushed: Option<&Pushed>) -> Value {
        let mut fields = Map::new();
        fields.insert("containerimage.config.digest".to_owned(), record.id.to_string().into());
        if let Some(pushed) = pushed {
            fields.insert("containerimage.digest".to_owned(), pushed.digest.to_string().into());
        }
        if !self.names.is_empty() {
            let names: Vec<String> = self.names.iter().map(ToString::to_string).collect();
            fields.insert("image.name".to_owned(), names.join(",").into());
        }
        Value::Object(fields)
    }
}

/// The names, each once.
fn read_names(written: &[String]) -> Result<Vec<Reference>, CliError> {
    let mut names = Vec::new();
    for name in written {
        let reference = Reference::parse(name)?;
        if reference.digest().is_some() {
            return Err(CliError::usage(format!("`{name}` names content by its digest; a tag is needed")));
        }
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
        if let OutputSpec::Oci(to) | OutputSpec::Docker(Some(to)) | OutputSpec::Tar(to) = output {
            Writing::begin(to)?;
        }
    }
    Ok(())
}

/// The file or directory that the output made.
fn place(output: &OutputSpec) -> Option<&Path> {
    match output {
        OutputSpec::Oci(Destination::File(path))
        | OutputSpec::Docker(Some(Destination::File(path)))
        | OutputSpec::Tar(Destination::File(path))
        | OutputSpec::Local(path) => Some(path),
        _ => None,
    }
}

/// Writes `--iidfile` and `--metadata-file`.
pub fn write_files(
    flags: &BuildFlags,
    record: &ImageRecord,
    results: &Results,
    pushed: Option<&Pushed>,
) -> Result<(), CliError> {
    if let Some(path) = &flags.iidfile {
        std::fs::write(path, record.id.to_string()).map_err(CliError::file("write", path))?;
    }
    if let Some(path) = &flags.metadata_file {
        let text = format!("{:#}\n", results.metadata(record, pushed));
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
        assert!(results.push);
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
        let metadata = results.metadata(&record(), None);
        assert_eq!(metadata["image.name"], "docker.io/library/app:1");
        assert_eq!(metadata["containerimage.config.digest"], record().id.to_string());
    }
}
