//! Where a result goes: names in the store, registries, archives and directories at the client.

mod attributes;

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kiln_builder::images::{ArchiveFormat, Bundle, BundleRequest, DocumentTypes, Images, Packing};
use kiln_builder::{Builder, Progress};
use kiln_cache::ImageRecord;
use kiln_registry::Reference;
use tonic::{Code, Status};

use self::attributes::Attributes;
use crate::api::control::Exporter;
use crate::build::{Build, Outcome};
use crate::contexts::Contexts;
use crate::failure::{self, told};
use crate::server::Server;
use crate::session::content::ContentStore;
use crate::session::{Session, send};

/// What clients may ask for of outputs and shared caches.
pub(crate) const CAPABILITIES: &[&str] = &["exporter.multiple", "cache.gha", "cache.s3"];

/// The client's content store for an output that is a directory.
const STORE: &str = "export";

/// What the client is told of an image.
const DIGEST: &str = "containerimage.digest";
const CONFIG_DIGEST: &str = "containerimage.config.digest";
const DESCRIPTOR: &str = "containerimage.descriptor";
const NAME: &str = "image.name";

type Answer = HashMap<String, String>;

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
        let export = Export::new(server, (&builder, &session), outcome, progress);
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

struct Export<'a> {
    /// Where there is room for what is on its way.
    contexts: &'a Contexts,
    builder: &'a Builder,
    images: Images,
    session: &'a Session,
    records: Vec<ImageRecord>,
    /// The platforms, as the client names them; one without a name when there is only one.
    platforms: Vec<&'a str>,
    /// Whether the result is one for several platforms, even if there is only one.
    is_multi: bool,
    progress: Progress,
}

impl<'a> Export<'a> {
    fn new(
        server: &'a Server,
        (builder, session): (&'a Builder, &'a Session),
        outcome: &'a Outcome,
        progress: Progress,
    ) -> Self {
        let platforms: Vec<&str> = outcome.images.iter().map(|(platform, _)| platform.as_str()).collect();
        Self {
            contexts: &server.contexts,
            builder,
            images: builder.images(),
            session,
            records: outcome.images.iter().map(|(_, solved)| solved.record.clone()).collect(),
            is_multi: platforms.iter().any(|platform| !platform.is_empty()),
            platforms,
            progress,
        }
    }

    async fn one(&self, number: usize, exporter: &Exporter) -> Result<Answer, Status> {
        let kind = exporter.r#type.as_str();
        let attributes = attributes::read(kind, &exporter.attrs)?;
        match kind {
            "image" => self.image(&attributes).await,
            "oci" => self.oci(number, &attributes).await,
            "docker" => self.docker(number, &attributes).await,
            "local" => self.local(number, &attributes).await,
            "tar" => self.tar(number).await,
            other => Err(Status::unimplemented(format!(
                "output type={other}: it may be one of image, oci, docker, local, tar"
            ))),
        }
    }

    async fn image(&self, attributes: &Attributes) -> Result<Answer, Status> {
        if attributes.push && attributes.names.is_empty() {
            return Err(Status::invalid_argument("an image without a name cannot be pushed"));
        }
        let step = self.progress.step("exporting to image");
        let bundle = self.bundle(false).await?;
        step.note(format!("exporting manifest {}", bundle.root().digest));
        if let [record] = self.records.as_slice()
            && attributes.store
        {
            for name in &attributes.names {
                self.images.name(record, name).map_err(|error| told(Code::Internal, &error))?;
                step.note(format!("naming to {name}"));
            }
        }
        step.done();
        if attributes.push {
            for name in &attributes.names {
                let images = self.reaching(name, attributes.insecure)?;
                let pushed = images.push_bundle(&bundle, name, attributes.push_by_digest, &self.progress);
                pushed.await.map_err(|error| told(Code::Unknown, &error))?;
            }
        }
        Ok(self.described(&bundle, &attributes.names))
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

    async fn bundle(&self, oci_only: bool) -> Result<Bundle, Status> {
        let packing = Packing { types: DocumentTypes::Oci, ..Packing::default() };
        let request = BundleRequest {
            images: &self.records,
            is_index: self.is_multi,
            packing: &packing,
            is_complete: oci_only,
            attestations: &[],
            names: &[],
        };
        let bundle = self.images.bundle(request, &self.progress).await;
        bundle.map_err(|error| told(Code::Unknown, &error))
    }

    async fn oci(&self, number: usize, attributes: &Attributes) -> Result<Answer, Status> {
        let step = self.progress.step("exporting to oci image format");
        let bundle = self.bundle(true).await?;
        step.note(format!("exporting manifest {}", bundle.root().digest));
        if attributes.tar {
            let (images, packed, names) = (self.images.clone(), bundle.clone(), attributes.names.clone());
            let write = move |to: &mut dyn Write| {
                images.write_bundle(&packed, &names, false, to).map(drop).map_err(std::io::Error::other)
            };
            self.send(number, write).await?;
        } else {
            let store = ContentStore::new(self.session, STORE.to_owned());
            for blob in bundle.blobs() {
                let content = self.images.open_blob(&bundle, blob.digest());
                let content = content.map_err(|error| told(Code::Internal, &error))?;
                store.write(blob.digest(), blob.size(), content).await?;
            }
        }
        step.note("sending tarball");
        step.done();
        Ok(self.described(&bundle, &attributes.names))
    }

    async fn docker(&self, number: usize, attributes: &Attributes) -> Result<Answer, Status> {
        let [record] = self.records.as_slice() else {
            let message = "output type=docker holds one platform; type=oci holds several";
            return Err(Status::invalid_argument(message));
        };
        if !attributes.tar {
            return self.oci(number, attributes).await;
        }
        let bundle = self.bundle(true).await?;
        let file = self.contexts.file().map_err(|error| told(Code::Internal, &error))?;
        let selected = vec![(record.clone(), attributes.names.clone())];
        let saved = self.images.save(selected, ArchiveFormat::Docker, file, &self.progress).await;
        let mut file = saved.map_err(|error| told(Code::Unknown, &error))?;
        let write = move |to: &mut dyn Write| {
            std::io::Seek::rewind(&mut file)?;
            std::io::copy(&mut file, to).map(drop)
        };
        self.send(number, write).await?;
        Ok(self.described(&bundle, &attributes.names))
    }

    async fn tar(&self, number: usize) -> Result<Answer, Status> {
        let [record] = self.records.as_slice() else {
            let message = "output type=tar holds one platform; type=local holds several";
            return Err(Status::invalid_argument(message));
        };
        let file = self.contexts.file().map_err(|error| told(Code::Internal, &error))?;
        let written = self.images.export_tar(record, file, &self.progress).await;
        let mut file = written.map_err(|error| told(Code::Unknown, &error))?;
        let write = move |to: &mut dyn Write| {
            std::io::Seek::rewind(&mut file)?;
            std::io::copy(&mut file, to).map(drop)
        };
        self.send(number, write).await?;
        Ok(HashMap::new())
    }

    async fn local(&self, number: usize, attributes: &Attributes) -> Result<Answer, Status> {
        let step = self.progress.step("exporting to client directory");
        let directory = self.contexts.temporary().map_err(|error| told(Code::Internal, &error))?;
        let root = directory.path().join("root");
        let split = attributes.platform_split.unwrap_or(self.is_multi);
        for (record, platform) in self.records.iter().zip(&self.platforms) {
            let platform = if platform.is_empty() { record.platform.as_str() } else { platform };
            let into = if split { root.join(platform.replace('/', "_")) } else { root.clone() };
            let exported = self.images.export_directory(record, &into, &self.progress).await;
            exported.map_err(|error| told(Code::Unknown, &error))?;
        }
        send::directory(self.session, number, &root).await.map_err(|error| told(Code::Unknown, &error))?;
        step.note("copying files");
        step.done();
        Ok(HashMap::new())
    }

    async fn send(
        &self,
        number: usize,
        write: impl FnOnce(&mut dyn Write) -> std::io::Result<()> + Send + 'static,
    ) -> Result<(), Status> {
        let sent = send::stream(self.session, number, &BTreeMap::new(), write).await;
        sent.map_err(|error| told(Code::Unknown, &error))
    }

    /// Writes the shared caches of the images.
    async fn caches(&self, build: &Build) -> Result<Answer, Status> {
        let mut answer = HashMap::new();
        for record in &self.records {
            let Some(caches) = build.caches_of(&record.id) else { continue };
            let written = self.builder.export_caches(&caches.shared, record, &self.progress).await;
            written.map_err(|error| told(Code::Unknown, &error))?;
            answer.extend(caches.send(self.session).await?);
        }
        Ok(answer)
    }

    fn described(&self, bundle: &Bundle, names: &[Reference]) -> Answer {
        let root = bundle.root();
        let mut descriptor = serde_json::json!({
            "mediaType": root.media_type.to_string(),
            "digest": root.digest.to_string(),
            "size": root.bytes.len(),
        });
        let mut answer = HashMap::from([(DIGEST.to_owned(), root.digest.to_string())]);
        if let ([record], false) = (self.records.as_slice(), self.is_multi) {
            answer.insert(CONFIG_DIGEST.to_owned(), record.id.to_string());
            descriptor["platform"] = crate::frontend::dockerfile::platform_of(&record.platform);
        }
        answer.insert(DESCRIPTOR.to_owned(), STANDARD.encode(descriptor.to_string()));
        if !names.is_empty() {
            let names: Vec<String> = names.iter().map(ToString::to_string).collect();
            answer.insert(NAME.to_owned(), names.join(","));
        }
        answer
    }
}
