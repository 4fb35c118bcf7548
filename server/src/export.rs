//! Where a result goes: names in the store, registries, archives and directories at the client.

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kiln_builder::Progress;
use kiln_builder::images::{ArchiveFormat, Images};
use kiln_registry::Reference;
use tonic::{Code, Status};

use crate::api::control::Exporter;
use crate::build::{Build, Outcome, Solved};
use crate::failure::told;
use crate::server::Server;
use crate::session::{Session, send};

/// Sends the result wherever the client wants it, and says what came of it.
pub(crate) async fn export(
    server: &Server,
    build: &Arc<Build>,
    outcome: &Outcome,
) -> Result<HashMap<String, String>, Status> {
    let mut answer = HashMap::new();
    // Results of questions have no image.
    for (key, value) in &outcome.metadata {
        if outcome.images.is_empty() {
            answer.insert(key.clone(), String::from_utf8_lossy(value).into_owned());
        }
    }
    if build.exporters.is_empty() || outcome.images.is_empty() {
        return Ok(answer);
    }
    let session = server.sessions.get(&build.session).await?;
    let images = server.builder_for(&session).images();
    let (progress, told_all) = crate::progress::of(build);
    let exporting = async {
        let export = Export { images, session, progress };
        for (number, exporter) in build.exporters.iter().enumerate() {
            answer.extend(export.one(number, exporter, outcome).await?);
        }
        Ok(answer)
    };
    let result = exporting.await;
    told_all.wait().await;
    let durable = server.builder.make_durable().await;
    durable.map_err(|error| told(Code::Internal, &error))?;
    result
}

struct Export {
    images: Images,
    session: Session,
    progress: Progress,
}

impl Export {
    async fn one(
        &self,
        number: usize,
        exporter: &Exporter,
        outcome: &Outcome,
    ) -> Result<HashMap<String, String>, Status> {
        let attributes = &exporter.attrs;
        let image = match outcome.images.as_slice() {
            [(_, image)] => image,
            _ => return Err(Status::unimplemented("results for several platforms are not exported yet")),
        };
        match exporter.r#type.as_str() {
            "image" => self.image(image, attributes).await,
            "oci" => self.archive(number, ArchiveFormat::Oci, image, attributes).await,
            "docker" => self.archive(number, ArchiveFormat::Docker, image, attributes).await,
            "local" => self.local(number, image).await,
            "tar" => self.tar(number, image).await,
            other => Err(Status::unimplemented(format!("exporter `{other}` is not known"))),
        }
    }

    async fn image(
        &self,
        image: &Solved,
        attributes: &HashMap<String, String>,
    ) -> Result<HashMap<String, String>, Status> {
        let names = names(attributes)?;
        let mut answer = described(image, &names);
        for name in &names {
            self.images.name(&image.record, name).map_err(|error| told(Code::Internal, &error))?;
        }
        if is_set(attributes, "push") {
            if names.is_empty() {
                return Err(Status::invalid_argument("an image without a name cannot be pushed"));
            }
            for name in &names {
                let pushed = self.images.push(&image.record, name, &self.progress).await;
                let pushed = pushed.map_err(|error| told(Code::Unknown, &error))?;
                answer.insert("containerimage.digest".to_owned(), pushed.digest.to_string());
                let descriptor = serde_json::json!({
                    "mediaType": "application/vnd.oci.image.manifest.v1+json",
                    "digest": pushed.digest.to_string(),
                    "size": pushed.size,
                });
                let descriptor = STANDARD.encode(descriptor.to_string());
                answer.insert("containerimage.descriptor".to_owned(), descriptor);
            }
        }
        Ok(answer)
    }

    async fn archive(
        &self,
        number: usize,
        format: ArchiveFormat,
        image: &Solved,
        attributes: &HashMap<String, String>,
    ) -> Result<HashMap<String, String>, Status> {
        let names = names(attributes)?;
        let step = self.progress.step("exporting to image");
        let file = self.temporary()?;
        let selected = vec![(image.record.clone(), names.clone())];
        let saved = self.images.save(selected, format, file, &self.progress).await;
        let file = saved.map_err(|error| told(Code::Unknown, &error))?;
        self.send(number, file).await?;
        step.done();
        Ok(described(image, &names))
    }

    async fn tar(&self, number: usize, image: &Solved) -> Result<HashMap<String, String>, Status> {
        let step = self.progress.step("exporting to client tarball");
        let file = self.temporary()?;
        let written = self.images.export_tar(&image.record, file, &self.progress).await;
        let file = written.map_err(|error| told(Code::Unknown, &error))?;
        self.send(number, file).await?;
        step.done();
        Ok(HashMap::new())
    }

    async fn local(&self, number: usize, image: &Solved) -> Result<HashMap<String, String>, Status> {
        let step = self.progress.step("exporting to client directory");
        let directory = tempfile::tempdir().map_err(|error| told(Code::Internal, &error))?;
        let root = directory.path().join("root");
        let exported = self.images.export_directory(&image.record, &root, &self.progress).await;
        exported.map_err(|error| told(Code::Unknown, &error))?;
        send::directory(&self.session, number, &root).await.map_err(|error| told(Code::Unknown, &error))?;
        step.done();
        Ok(HashMap::new())
    }

    fn temporary(&self) -> Result<std::fs::File, Status> {
        tempfile::tempfile().map_err(|error| told(Code::Internal, &error))
    }

    async fn send(&self, number: usize, mut file: std::fs::File) -> Result<(), Status> {
        use std::io::{Seek, SeekFrom};
        let write = move |to: &mut dyn Write| {
            file.seek(SeekFrom::Start(0))?;
            std::io::copy(&mut file, to).map(drop)
        };
        let sent = send::stream(&self.session, number, &BTreeMap::new(), write).await;
        sent.map_err(|error| told(Code::Unknown, &error))
    }
}

fn is_set(attributes: &HashMap<String, String>, key: &str) -> bool {
    attributes
        .get(key)
        .is_some_and(|value| matches!(value.as_str(), "" | "1" | "t" | "true" | "True" | "TRUE"))
}

fn names(attributes: &HashMap<String, String>) -> Result<Vec<Reference>, Status> {
    let given = attributes.get("name").map(String::as_str).unwrap_or_default();
    let given = given.split(',').map(str::trim).filter(|name| !name.is_empty());
    given
        .map(|name| {
            Reference::parse(name)
                .map_err(|error| Status::invalid_argument(format!("name `{name}`: {error}")))
        })
        .collect()
}

fn described(image: &Solved, names: &[Reference]) -> HashMap<String, String> {
    let mut answer =
        HashMap::from([("containerimage.config.digest".to_owned(), image.record.id.to_string())]);
    if !names.is_empty() {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        answer.insert("image.name".to_owned(), names.join(","));
    }
    answer
}
