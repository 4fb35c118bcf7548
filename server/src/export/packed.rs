//! Outputs that are images: under names, in registries, as layouts and archives.

use std::collections::{BTreeMap, HashMap};
use std::io::Write;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kiln_builder::images::{
    ArchiveFormat, Bundle, BundleRequest, DocumentTypes, Images, OutputAttributes, OutputKind,
};
use kiln_builder::provenance::ProvenanceOptions;
use kiln_cache::ImageRecord;
use kiln_registry::Reference;
use tonic::{Code, Status};

use super::{Answer, Export};
use crate::api::control::Descriptor;
use crate::failure::told;
use crate::session::content::ContentStore;

/// The client's content store for an output that is a directory.
const STORE: &str = "export";

/// What the client is told of an image.
const DIGEST: &str = "containerimage.digest";
const CONFIG_DIGEST: &str = "containerimage.config.digest";
const DESCRIPTOR: &str = "containerimage.descriptor";
const NAME: &str = "image.name";

/// Refuses what cannot go together.
pub(super) fn check(attributes: &OutputAttributes, stated: Option<&ProvenanceOptions>) -> Result<(), Status> {
    let is_files = matches!(attributes.kind, OutputKind::Local | OutputKind::Tar);
    let goes = |options: &ProvenanceOptions| attributes.attestations_anyway || !options.inline_only;
    if is_files { Ok(()) } else { check_types(attributes, stated.is_some_and(goes)) }
}

/// Docker's own documents have no place for statements.
fn check_types(attributes: &OutputAttributes, is_stated: bool) -> Result<(), Status> {
    if is_stated && attributes.packing.types == DocumentTypes::Docker {
        return Err(Status::invalid_argument(
            "cannot export attestations with \"oci-mediatypes=false\": build with --provenance=false",
        ));
    }
    Ok(())
}

impl Export<'_> {
    pub(super) async fn image(&self, number: usize, attributes: &OutputAttributes) -> Result<Answer, Status> {
        let step = self.progress.step("exporting to image");
        let records = self.prepared(attributes).await?;
        let bundle = self.bundle(&records, attributes, false).await?;
        note_manifests(&step, &bundle);
        let names = attributes.names_of(&bundle.root().digest);
        if attributes.store {
            // A name here stands for one image: the one that runs here, if there is one.
            let record = records.iter().find(|record| record.platform == self.host).or(records.first());
            // One with a digest is found by that.
            for name in names.iter().filter(|name| name.digest().is_none()) {
                let Some(record) = record else { continue };
                self.images.name(record, name).map_err(|error| told(Code::Internal, &error))?;
                step.note(format!("naming to {name}"));
            }
        }
        if attributes.unpack {
            for record in &records {
                let unpacked = self.images.unpack(record, &self.progress).await;
                unpacked.map_err(|error| told(Code::Unknown, &error))?;
            }
        }
        step.done();
        if attributes.push {
            for name in &names {
                let images = self.reaching(name, attributes.insecure)?;
                let by_digest = attributes.push_by_digest || name.digest().is_some();
                let pushed = images.push_bundle(&bundle, name, by_digest, &self.progress);
                pushed.await.map_err(|error| told(Code::Unknown, &error))?;
            }
        }
        Ok(self.described(number, &records, &bundle, &names))
    }

    /// What reaches the registry of that name.
    fn reaching(&self, name: &Reference, insecure: bool) -> Result<Images, Status> {
        if !insecure {
            return Ok(self.images.clone());
        }
        let client = self.builder.client.trusting(name.registry());
        let client = client.map_err(|error| told(Code::Internal, &error))?;
        Ok(self.builder.with_client(client).images())
    }

    /// The images, with their times as they are asked for.
    async fn prepared(&self, attributes: &OutputAttributes) -> Result<Vec<ImageRecord>, Status> {
        let rewrite = attributes.rewrite_timestamps;
        let epoch = if rewrite { self.epoch(attributes) } else { attributes.epoch };
        let Some(epoch) = epoch else {
            if rewrite {
                self.progress.warn("rewrite-timestamp is specified, but no source-date-epoch was found");
            }
            return Ok(self.records.clone());
        };
        let mut records = Vec::new();
        for (record, made) in self.records.iter().zip(&self.made) {
            // Without the other attribute, the image's own times are all that is clamped.
            let kept = if rewrite { made.capture.base_layers() } else { record.layers.len() };
            let clamped = self.images.clamped(record, kept, epoch, &self.progress).await;
            records.push(clamped.map_err(|error| told(Code::Unknown, &error))?);
        }
        Ok(records)
    }

    async fn bundle(
        &self,
        records: &[ImageRecord],
        attributes: &OutputAttributes,
        is_complete: bool,
    ) -> Result<Bundle, Status> {
        let platforms: Vec<&str> = records.iter().map(|record| record.platform.as_str()).collect();
        let annotations = &attributes.packing.annotations;
        if let Some(platform) = annotations.unmet_platform(&platforms) {
            let message = format!("invalid annotation: no platform {platform} found in source");
            return Err(Status::invalid_argument(message));
        }
        let attestations = self.stated(attributes);
        let is_stated = attestations.iter().any(|stated| !stated.is_empty());
        check_types(attributes, is_stated)?;
        let is_index = self.is_multi || is_stated;
        if annotations.is_of_index() && !is_index {
            return Err(Status::invalid_argument(
                "index annotations not supported for single platform export",
            ));
        }
        let request = BundleRequest {
            images: records,
            is_index: self.is_multi,
            packing: &attributes.packing,
            is_complete,
            attestations: &attestations,
            names: &attributes.names,
        };
        let bundle = self.images.bundle(request, &self.progress).await;
        bundle.map_err(|error| told(Code::Unknown, &error))
    }

    pub(super) async fn oci(&self, number: usize, attributes: &OutputAttributes) -> Result<Answer, Status> {
        let step = self.progress.step(format!("exporting to {} image format", attributes.kind));
        let records = self.prepared(attributes).await?;
        let bundle = self.bundle(&records, attributes, true).await?;
        note_manifests(&step, &bundle);
        let answer = self.described(number, &records, &bundle, &attributes.names);
        if attributes.tar {
            let for_docker = attributes.kind == OutputKind::Docker;
            let (images, names) = (self.images.clone(), attributes.names.clone());
            let write = move |to: &mut dyn Write| {
                images.write_bundle(&bundle, &names, for_docker, to).map(drop).map_err(std::io::Error::other)
            };
            self.send(number, &told_with(&answer), write).await?;
            step.note("sending tarball");
        } else {
            let store = ContentStore::new(self.session, STORE.to_owned());
            for blob in bundle.blobs() {
                let content = self.images.open_blob(&bundle, blob.digest());
                let content = content.map_err(|error| told(Code::Internal, &error))?;
                store.write(blob.digest(), blob.size(), content).await?;
            }
            step.note("sending layout");
        }
        step.done();
        Ok(answer)
    }

    /// An archive for docker: what nobody has special wishes for has uncompressed layers, which cost the least on both sides.
    pub(super) async fn docker(
        &self,
        number: usize,
        attributes: &OutputAttributes,
    ) -> Result<Answer, Status> {
        let [record] = self.records.as_slice() else {
            let message = "docker exporter does not currently support exporting manifest lists: \
                           output type=docker holds one platform; type=oci holds several";
            return Err(Status::invalid_argument(message));
        };
        let is_stated = self.stated(attributes).iter().any(|stated| !stated.is_empty());
        if !attributes.tar || !attributes.is_plain() || attributes.epoch.is_some() || is_stated {
            return self.oci(number, attributes).await;
        }
        let bundle = self.bundle(&self.records, attributes, true).await?;
        let answer = self.described(number, &self.records, &bundle, &attributes.names);
        let file = self.contexts.file().map_err(|error| told(Code::Internal, &error))?;
        let selected = vec![(record.clone(), attributes.names.clone())];
        let saved = self.images.save(selected, ArchiveFormat::Docker, file, &self.progress).await;
        let mut file = saved.map_err(|error| told(Code::Unknown, &error))?;
        let write = move |to: &mut dyn Write| {
            std::io::Seek::rewind(&mut file)?;
            std::io::copy(&mut file, to).map(drop)
        };
        self.send(number, &told_with(&answer), write).await?;
        Ok(answer)
    }

    fn described(
        &self,
        number: usize,
        records: &[ImageRecord],
        bundle: &Bundle,
        names: &[Reference],
    ) -> Answer {
        let root = bundle.descriptor();
        let annotations: HashMap<String, String> = root.annotations().clone().unwrap_or_default();
        let mut descriptor = serde_json::json!({
            "mediaType": root.media_type().to_string(),
            "digest": root.digest().to_string(),
            "size": root.size(),
        });
        if !annotations.is_empty() {
            descriptor["annotations"] = serde_json::json!(annotations);
        }
        let mut answer = HashMap::from([(DIGEST.to_owned(), root.digest().to_string())]);
        if let ([record], false) = (records, bundle.is_index()) {
            answer.insert(CONFIG_DIGEST.to_owned(), record.id.to_string());
            descriptor["platform"] = crate::frontend::dockerfile::platform_of(&record.platform);
        }
        answer.insert(DESCRIPTOR.to_owned(), STANDARD.encode(descriptor.to_string()));
        if !names.is_empty() {
            let names: Vec<String> = names.iter().map(ToString::to_string).collect();
            answer.insert(NAME.to_owned(), names.join(","));
        }
        let kept = Descriptor {
            media_type: root.media_type().to_string(),
            digest: root.digest().to_string(),
            size: i64::try_from(root.size()).unwrap_or(i64::MAX),
            annotations,
        };
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        self.build.making.keep(|results| results.descriptors.push((number, kept)));
        answer
    }
}

/// Tells what was made, one line for each document.
fn note_manifests(step: &kiln_builder::event::Step, bundle: &Bundle) {
    let (manifests, attached) = bundle.manifests();
    for manifest in manifests {
        step.note(format!("exporting manifest {}", manifest.digest));
    }
    for manifest in attached {
        step.note(format!("exporting attestation manifest {}", manifest.digest));
    }
    if bundle.is_index() {
        step.note(format!("exporting manifest list {}", bundle.root().digest));
    }
}

/// What the client may want to know where it writes an archive.
fn told_with(answer: &Answer) -> BTreeMap<String, String> {
    answer.clone().into_iter().collect()
}
