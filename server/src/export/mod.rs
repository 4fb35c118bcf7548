//! Where a result goes: names in the store, registries, archives and directories at the client.

mod attributes;
mod files;
pub(crate) mod made;
mod packed;
mod statements;

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::sync::Arc;

use kiln_builder::images::{Attestation, Images, OutputAttributes, OutputKind};
use kiln_builder::provenance::ProvenanceOptions;
use kiln_builder::{Builder, Progress};
use kiln_cache::ImageRecord;
use tonic::{Code, Status};

use self::made::Made;
use crate::api::control::Exporter;
use crate::build::{Build, Outcome, Solved};
use crate::contexts::Contexts;
use crate::failure::{self, told};
use crate::frontend::dockerfile::PLATFORMS;
use crate::server::Server;
use crate::session::{Session, send};

/// What clients may ask for of outputs, of shared caches, of the store and of the history.
pub(crate) const CAPABILITIES: &[&str] = &[
    "exporter.multiple",
    "exporter.image.annotations",
    "exporter.image.attestations",
    "exporter.sourcedateepoch",
    "cache.gha",
    "cache.s3",
    "gc.freespacefilter",
    "history.filter",
];

type Answer = HashMap<String, String>;

/// Refuses what a client wants of its results and would not get, before anything is built for it.
pub(crate) fn check(exporters: &[Exporter], attributes: &HashMap<String, String>) -> Result<(), Status> {
    let stated = statements::wanted(attributes)?;
    for exporter in exporters {
        let attributes = attributes::read(exporter)?;
        packed::check(&attributes, stated.as_ref())?;
    }
    Ok(())
}

/// Sends the result wherever the client wants it, and says what came of it.
pub(crate) async fn export(server: &Server, build: &Arc<Build>, outcome: &Outcome) -> Result<Answer, Status> {
    let mut answer = HashMap::new();
    if outcome.images.is_empty() {
        // Results of questions have no image.
        let text =
            |(key, value): (&String, &Vec<u8>)| (key.clone(), String::from_utf8_lossy(value).into_owned());
        return Ok(outcome.metadata.iter().map(text).collect());
    }
    let session = server.sessions.get(&build.session).await?;
    let builder = server.builder_for(&session);
    let (progress, told_all) = crate::progress::of(build);
    let exporting = async {
        let export = Export::new(server, build, (&builder, &session), outcome, progress)?;
        for (number, exporter) in build.exporters.iter().enumerate() {
            answer.extend(export.one(number, exporter).await?);
        }
        answer.extend(export.caches(build).await?);
        Ok(answer)
    };
    let result = tokio::select! {
        result = exporting => result,
        () = build.cancel.cancelled() => Err(Status::cancelled("the client has gone")),
    };
    told_all.wait().await;
    let durable = server.builder.make_durable().await;
    durable.map_err(|error| told(Code::Internal, &error))?;
    result.map_err(|status| failure::without_code(&status))
}

/// The images in the order in which the result lists their platforms, and then by name: a client's message has them in any
/// order, and the same build is to give the same index.
fn in_order(outcome: &Outcome) -> Vec<&(String, Arc<Solved>)> {
    let listed = outcome.metadata.get(PLATFORMS).and_then(|json| serde_json::from_slice(json).ok());
    let listed: serde_json::Value = listed.unwrap_or_default();
    let listed: Vec<&str> = listed["Platforms"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|platform| platform["ID"].as_str())
        .collect();
    let place = |platform: &str| listed.iter().position(|id| *id == platform).unwrap_or(listed.len());
    let mut images: Vec<_> = outcome.images.iter().collect();
    images.sort_by_key(|(platform, _)| (place(platform), platform.clone()));
    images
}

struct Export<'a> {
    /// Where there is room for what is on its way.
    contexts: &'a Contexts,
    build: &'a Build,
    builder: &'a Builder,
    images: Images,
    session: &'a Session,
    records: Vec<ImageRecord>,
    /// How each of them was made.
    made: Vec<Made>,
    /// What is stated about each of them, if anything is.
    attestations: Vec<Vec<Attestation>>,
    /// The platforms, as the client names them; one without a name when there is only one.
    platforms: Vec<&'a str>,
    /// The daemon's platform.
    host: &'a str,
    /// Whether the result is one for several platforms, even if there is only one.
    is_multi: bool,
    progress: Progress,
}

impl<'a> Export<'a> {
    fn new(
        server: &'a Server,
        build: &'a Build,
        (builder, session): (&'a Builder, &'a Session),
        outcome: &'a Outcome,
        progress: Progress,
    ) -> Result<Self, Status> {
        let images = in_order(outcome);
        let platforms: Vec<&str> = images.iter().map(|(platform, _)| platform.as_str()).collect();
        let records: Vec<ImageRecord> = images.iter().map(|(_, solved)| solved.record.clone()).collect();
        let made = statements::made(build, &records);
        let stated: Option<ProvenanceOptions> = statements::wanted(&build.attributes)?;
        let named: Vec<(&str, Made)> = platforms.iter().copied().zip(made.iter().cloned()).collect();
        statements::keep(build, &server.platform, stated.as_ref(), &named)?;
        let attestations = match &stated {
            Some(options) => statements::make(build, &server.platform, options, &made)?,
            None => Vec::new(),
        };
        Ok(Self {
            contexts: &server.contexts,
            build,
            builder,
            images: builder.images(),
            session,
            records,
            made,
            attestations,
            is_multi: platforms.iter().any(|platform| !platform.is_empty()),
            platforms,
            host: &server.platform,
            progress,
        })
    }

    async fn one(&self, number: usize, exporter: &Exporter) -> Result<Answer, Status> {
        let attributes = attributes::read(exporter)?;
        match attributes.kind {
            OutputKind::Image => self.image(number, &attributes).await,
            OutputKind::Oci => self.oci(number, &attributes).await,
            OutputKind::Docker => self.docker(number, &attributes).await,
            OutputKind::Local => self.local(number, &attributes).await,
            OutputKind::Tar => self.tar(number, &attributes).await,
        }
    }

    /// The statements that go with an output, image by image. Where there is an index for platforms, what would not be worth
    /// one goes, too; so it does under BuildKit.
    fn stated(&self, attributes: &OutputAttributes) -> Vec<Vec<Attestation>> {
        let is_files = matches!(attributes.kind, OutputKind::Local | OutputKind::Tar);
        let all_go = attributes.attestations_anyway || self.is_multi && !is_files;
        let goes = |attestation: &Attestation| all_go || !attestation.inline_only;
        let of_image = |all: &Vec<Attestation>| all.iter().filter(|one| goes(one)).cloned().collect();
        self.attestations.iter().map(of_image).collect()
    }

    /// The time that nothing in an output is later than.
    fn epoch(&self, attributes: &OutputAttributes) -> Option<i64> {
        attributes.epoch.or_else(|| self.made.iter().find_map(Made::epoch))
    }

    async fn send(
        &self,
        number: usize,
        metadata: &BTreeMap<String, String>,
        write: impl FnOnce(&mut dyn Write) -> std::io::Result<()> + Send + 'static,
    ) -> Result<(), Status> {
        let sent = send::stream(self.session, number, metadata, write).await;
        sent.map_err(|error| told(Code::Unknown, &error))
    }

    /// Writes the shared caches: what all images used together, as one of them alone would take the place of another.
    async fn caches(&self, build: &Build) -> Result<Answer, Status> {
        let all: Vec<_> = self.records.iter().filter_map(|record| build.caches_of(&record.id)).collect();
        let Some((caches, others)) = all.split_first() else { return Ok(HashMap::new()) };
        for other in others {
            caches.shared.join(&other.shared);
        }
        let written = self.builder.export_caches(&caches.shared, &self.records, &self.progress).await;
        written.map_err(|error| told(Code::Unknown, &error))?;
        caches.send(self.session).await
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn images_come_in_the_order_of_their_platforms() {
        let record = ImageRecord {
            id: kiln_registry::sha256(b"image"),
            manifest: None,
            layers: Vec::new(),
            layer_blobs: Vec::new(),
            origin: None,
            layer_origins: BTreeMap::new(),
            platform: "linux/amd64".to_owned(),
            created: None,
            size: 0,
        };
        let solved = Arc::new(Solved { record, config: Vec::new() });
        let images = ["c", "a", "d", "b"].map(|name| (name.to_owned(), Arc::clone(&solved)));
        let listed = br#"{"Platforms":[{"ID":"b"},{"ID":"a"}]}"#.to_vec();
        let metadata = HashMap::from([(PLATFORMS.to_owned(), listed)]);
        let outcome = Outcome { images: images.to_vec(), metadata };
        let names: Vec<&str> = in_order(&outcome).iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["b", "a", "c", "d"]);
    }
}
