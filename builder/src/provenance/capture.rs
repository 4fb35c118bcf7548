//! What a build was made of: images, repositories and files from elsewhere by digest, directories and secrets by name.

use std::collections::BTreeMap;

use kiln_graph::op::{Exec, ExecMount, Git, LayoutImage, Network, Op, Source};
use kiln_graph::plan::Plan;
use kiln_graph::{Graph, VertexId, redact};
use kiln_registry::Reference;

use super::purl;
use crate::base::Bases;

/// Something from elsewhere that a build used.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Material {
    /// What: a package URL, or that of a repository or a file.
    pub uri: String,
    /// By which algorithm the digest was made.
    pub algorithm: String,
    /// Hexadecimal.
    pub digest: String,
}

impl Material {
    /// Content by `ALGORITHM:HEX`.
    pub(crate) fn of_digest(uri: String, digest: &str) -> Self {
        let (algorithm, digest) = digest.split_once(':').unwrap_or(("sha256", digest));
        Self { uri, algorithm: algorithm.to_owned(), digest: digest.to_owned() }
    }

    /// What a repository is called.
    pub(crate) fn uri_of(git: &Git) -> String {
        let reference = git.reference.as_ref().map(|text| format!("#{text}")).unwrap_or_default();
        format!("{}{reference}", redact(&git.remote))
    }

    /// A commit.
    pub(crate) fn of_commit(uri: String, commit: &str) -> Self {
        let algorithm = if commit.len() == 64 { "sha256" } else { "sha1" };
        Self { uri, algorithm: algorithm.to_owned(), digest: commit.to_owned() }
    }
}

/// What a build was made of.
#[derive(Debug, Clone, Default)]
pub struct Capture {
    pub(super) images: Vec<Material>,
    /// Repositories and files.
    pub(super) elsewhere: Vec<Material>,
    /// Directories of the one who builds, by name.
    pub(super) locals: Vec<String>,
    /// Names of secrets, and whether each is optional.
    pub(super) secrets: BTreeMap<String, bool>,
    /// Names of agents, likewise.
    pub(super) agents: BTreeMap<String, bool>,
    /// Whether a command could reach the network.
    pub(super) network: bool,
    /// What was done, and what came of it.
    pub(super) graph: Graph,
    pub(super) target: Option<VertexId>,
    base_layers: usize,
    /// Names that stand for results of builds, not for images of registries.
    results: Vec<String>,
}

impl Capture {
    /// What the plan says, and what is known of its sources; to be called when it has been solved.
    pub fn of(plan: &Plan, bases: &Bases) -> Self {
        let mut capture = Self { graph: plan.graph.clone(), target: Some(plan.target), ..Self::default() };
        for (_, vertex) in plan.graph.iter() {
            match &vertex.op {
                Op::Source(source) => capture.source(source, bases),
                Op::Exec(exec) => capture.exec(exec),
                _ => {}
            }
        }
        capture.elsewhere = bases.materials();
        capture.locals.sort();
        capture.locals.dedup();
        capture.images.sort();
        capture.images.dedup();
        capture.base_layers = base_layers(plan, bases).unwrap_or(0);
        capture
    }

    /// How many layers of the result, from the bottom, are those of the image that it began as.
    pub fn base_layers(&self) -> usize {
        self.base_layers
    }

    /// The references that stand for results of builds: what these were made of is for the caller to [`merge`](Self::merge).
    pub fn results(&self) -> &[String] {
        &self.results
    }

    /// Notes a directory that was read although no step copies from it: that of the Dockerfile.
    #[must_use]
    pub fn with_local(mut self, name: &str) -> Self {
        self.locals.push(name.to_owned());
        self.locals.sort();
        self.locals.dedup();
        self
    }

    /// Takes back that a directory was read: it was no directory of the one who builds.
    #[must_use]
    pub fn without_local(mut self, name: &str) -> Self {
        self.locals.retain(|local| local != name);
        self
    }

    /// Notes something that was fetched before there was a plan: the repository that is the context.
    #[must_use]
    pub fn with_material(mut self, material: Material) -> Self {
        if !self.elsewhere.contains(&material) {
            self.elsewhere.push(material);
        }
        self
    }

    /// Takes in what another part of the same build was made of.
    pub fn merge(&mut self, other: &Self) {
        self.images.extend(other.images.iter().cloned());
        self.elsewhere.extend(other.elsewhere.iter().cloned());
        self.locals.extend(other.locals.iter().cloned());
        self.images.sort();
        self.images.dedup();
        self.elsewhere.sort();
        self.elsewhere.dedup();
        self.locals.sort();
        self.locals.dedup();
        for (id, optional) in &other.secrets {
            note(&mut self.secrets, id, !optional);
        }
        for (id, optional) in &other.agents {
            note(&mut self.agents, id, !optional);
        }
        self.network |= other.network;
    }

    fn source(&mut self, source: &Source, bases: &Bases) {
        match source {
            Source::Image { reference, platform, digest } => {
                let Ok(parsed) = Reference::parse(reference) else { return };
                // A registry that cannot exist (RFC 2606): a result of the same build under a name.
                if parsed.registry().ends_with(".invalid") {
                    self.results.push(reference.clone());
                    return;
                }
                let known = bases.get(reference, platform).and_then(|record| {
                    let origin = record.origin.as_deref().and_then(|origin| Reference::parse(origin).ok());
                    let asked = origin.and_then(|origin| origin.digest().cloned());
                    let asked = asked.filter(|_| record.manifest.is_some());
                    Some(asked.or_else(|| Some(record.manifest.as_ref()?.digest().clone()))?.to_string())
                });
                let Some(digest) = known.or_else(|| digest.clone()) else { return };
                self.images.push(Material::of_digest(purl("docker", &parsed, Some(platform)), &digest));
            }
            Source::Layout { image, platform } => {
                let manifest = bases.in_layout(image, platform).and_then(|record| record.manifest);
                let digest = manifest.map(|manifest| manifest.digest().to_string());
                if let Some(digest) = digest.or_else(|| image.digest.clone()) {
                    self.images.push(Material::of_digest(layout_url(image, platform), &digest));
                }
            }
            Source::Context { name, .. } => self.locals.push(name.clone()),
            // What these stand for shows when they are fetched.
            Source::Http(_) | Source::Git(_) | Source::Scratch => {}
        }
    }

    fn exec(&mut self, exec: &Exec) {
        self.network |= exec.network != Network::None;
        for mount in &exec.mounts {
            match mount {
                ExecMount::Secret { id, required, .. } => note(&mut self.secrets, id, *required),
                ExecMount::Ssh { id, required, .. } => note(&mut self.agents, id, *required),
                _ => {}
            }
        }
    }
}

/// Once required is required.
fn note(all: &mut BTreeMap<String, bool>, id: &str, required: bool) {
    let optional = all.entry(id.to_owned()).or_insert(true);
    *optional &= !required;
}

/// An image of a layout has no name but the layout's.
fn layout_url(image: &LayoutImage, platform: &str) -> String {
    let name = image.directory.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    let tag = image.tag.as_deref().map(|tag| format!(":{tag}")).unwrap_or_default();
    let digest = image.digest.as_deref().map(|digest| format!("@{digest}")).unwrap_or_default();
    match Reference::parse(&format!("{name}{tag}{digest}")) {
        Ok(reference) => purl("oci", &reference, Some(platform)),
        Err(_) => redact(&image.to_string()),
    }
}

/// The layers of the image that the target's chain begins with, if it is one of steps on an image.
fn base_layers(plan: &Plan, bases: &Bases) -> Option<usize> {
    let mut vertex = plan.graph.get(plan.target)?;
    loop {
        match &vertex.op {
            Op::Exec(_) | Op::File(_) | Op::After => vertex = plan.graph.get(*vertex.inputs.first()?)?,
            Op::Source(Source::Image { reference, platform, .. }) => {
                return Some(bases.get(reference, platform)?.layers.len());
            }
            Op::Source(Source::Layout { image, platform }) => {
                return Some(bases.in_layout(image, platform)?.layers.len());
            }
            _ => return None,
        }
    }
}
