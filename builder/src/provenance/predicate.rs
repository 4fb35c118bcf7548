//! The content of a provenance, in SLSA's version 1 and, made of that, in 0.2.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use kiln_graph::redact;
use serde_json::{Map, Value, json};

use super::steps::steps;
use super::{Capture, Material, ProvenanceError, ProvenanceMode, ProvenanceOptions, SlsaVersion};

/// The URIs of the vocabularies, and of what kind of build it is in each.
const PREDICATE_V1: &str = "https://slsa.dev/provenance/v1";
const PREDICATE_V02: &str = "https://slsa.dev/provenance/v0.2";
const BUILD_TYPE_V1: &str =
    "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md";
const BUILD_TYPE_V02: &str = "https://mobyproject.org/buildkit@v1";

/// Where 0.2 has what only this kind of build knows.
const METADATA_V02: &str = "https://mobyproject.org/buildkit@v1#metadata";
const HERMETIC_V02: &str = "https://mobyproject.org/buildkit@v1#hermetic";

/// Arguments that speak of the machine and not of the image.
const OF_THE_HOST: &[&str] = &["cgroup-parent", "image-resolve-mode", "platform", "cache-imports"];

/// Where the arguments name the context and the Dockerfile.
const CONTEXT_KEY: &str = "contextkey";
const CONTEXT: &str = "context";
const FILENAME: &str = "filename";

/// Arguments of a version control system, which go elsewhere.
const VCS: &str = "vcs:";

/// The text that the steps were written in.
#[derive(Debug, Clone, Default)]
pub struct ConfigFile {
    /// Its name.
    pub filename: String,
    /// The text.
    pub text: String,
}

/// Who asked for what, and when.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// Tells builds apart.
    pub id: String,
    /// Which frontend was asked.
    pub frontend: String,
    /// What it was asked, by key.
    pub args: BTreeMap<String, String>,
    /// What the build was asked that asked the frontend, if that is another.
    pub root: Option<BTreeMap<String, String>>,
    /// The Dockerfile.
    pub config: Option<ConfigFile>,
    /// When it began.
    pub started: Timestamp,
    /// When it was done.
    pub finished: Timestamp,
    /// `os/arch[/variant]` of the machine.
    pub platform: String,
    /// Which version of the Dockerfile's language was read.
    pub dockerfile_version: String,
}

impl Capture {
    /// The type of the predicate, and the predicate.
    pub fn predicate(
        &self,
        options: &ProvenanceOptions,
        invocation: &Invocation,
    ) -> Result<(&'static str, Value), ProvenanceError> {
        let is_complete = self.locals.is_empty();
        if options.complete && !is_complete {
            return Err(ProvenanceError::Incomplete { locals: self.locals.clone() });
        }
        let mut request = Request::of(invocation.args.clone(), &self.elsewhere);
        let mut root = invocation.root.clone().map(|args| Request::of(args, &self.elsewhere));
        let is_whole = match options.mode {
            ProvenanceMode::Max => true,
            // Both are to be shortened.
            ProvenanceMode::Min => !(request.shorten() | root.as_mut().is_some_and(Request::shorten)),
        };
        // Who sends a graph asks nothing that could be written down.
        let is_whole = is_whole && !invocation.frontend.is_empty();
        let vcs = request.take_vcs();
        let parts = Parts { capture: self, options, invocation, request, root, is_complete, is_whole, vcs };
        Ok(match options.version {
            SlsaVersion::V1 => (PREDICATE_V1, parts.v1()),
            SlsaVersion::V02 => (PREDICATE_V02, parts.v02()),
        })
    }
}

/// One request: where its configuration is from, and the rest of what was asked.
struct Request {
    config: Map<String, Value>,
    args: BTreeMap<String, String>,
}

impl Request {
    fn of(args: BTreeMap<String, String>, materials: &[Material]) -> Self {
        let key = args.get(CONTEXT_KEY).filter(|key| !key.is_empty()).cloned();
        let key = key.unwrap_or_else(|| CONTEXT.to_owned());
        let kept = |name: &str| !OF_THE_HOST.contains(&name) && !name.starts_with("attest:");
        let mut args: BTreeMap<String, String> = args
            .into_iter()
            .filter(|(name, _)| kept(name))
            .map(|(name, value)| {
                let is_place = name == key || name.starts_with("context:") || name == "vcs:source";
                let value = if is_place { redact(&value) } else { value };
                (name, value)
            })
            .collect();
        let mut config = Map::new();
        if let Some(context) = args.remove(&key).filter(|context| !context.is_empty()) {
            let bare = context.split('#').next().unwrap_or_default();
            let known = materials
                .iter()
                .find(|material| material.uri == context || material.uri.split('#').next() == Some(bare));
            if let Some(material) = known {
                config.insert("digest".to_owned(), digest(material));
            }
            config.insert("uri".to_owned(), context.into());
        }
        if let Some(filename) = args.remove(FILENAME).filter(|filename| !filename.is_empty()) {
            config.insert("path".to_owned(), filename.into());
        }
        Self { config, args }
    }

    /// Takes out what may say too much. True if there was any of it.
    fn shorten(&mut self) -> bool {
        let before = self.args.len();
        self.args.retain(|key, _| !key.starts_with("build-arg:") && !key.starts_with("label:"));
        self.args.len() != before
    }

    fn take_vcs(&mut self) -> Map<String, Value> {
        let vcs = self.args.iter().filter(|(_, value)| !value.is_empty());
        let vcs = vcs.filter_map(|(key, value)| Some((key.strip_prefix(VCS)?, value)));
        let vcs = vcs.map(|(key, value)| (key.to_owned(), value.as_str().into())).collect();
        self.args.retain(|key, _| !key.starts_with(VCS));
        vcs
    }
}

struct Parts<'a> {
    capture: &'a Capture,
    options: &'a ProvenanceOptions,
    invocation: &'a Invocation,
    request: Request,
    root: Option<Request>,
    /// Whether everything that the build was made of is known.
    is_complete: bool,
    /// Whether everything that was asked is told.
    is_whole: bool,
    vcs: Map<String, Value>,
}

// What grows with the build is moved into its place: `json!` copies what it is given.
impl Parts<'_> {
    fn v1(&self) -> Value {
        let mut internal = json!({ "builderPlatform": self.invocation.platform });
        if let Some(config) = self.build_config() {
            internal["buildConfig"] = config;
        }
        if !self.invocation.dockerfile_version.is_empty() {
            internal["dockerfileVersion"] = self.invocation.dockerfile_version.as_str().into();
        }
        let mut metadata = json!({
            "invocationId": self.invocation.id,
            "startedOn": self.invocation.started.to_string(),
            "finishedOn": self.invocation.finished.to_string(),
            "buildkit_completeness": {
                "request": self.is_whole,
                "resolvedDependencies": self.is_complete,
            },
        });
        metadata["buildkit_metadata"] = self.metadata();
        if self.is_hermetic() {
            metadata["buildkit_hermetic"] = true.into();
        }
        if self.options.reproducible {
            metadata["buildkit_reproducible"] = true.into();
        }
        let mut definition = json!({
            "buildType": BUILD_TYPE_V1,
            "externalParameters": {
                "configSource": self.request.config,
                "request": self.parameters(),
            },
        });
        definition["internalParameters"] = internal;
        if let Some(materials) = self.materials() {
            definition["resolvedDependencies"] = materials;
        }
        let mut predicate = json!({ "runDetails": { "builder": { "id": self.options.builder } } });
        predicate["runDetails"]["metadata"] = metadata;
        predicate["buildDefinition"] = definition;
        predicate
    }

    fn v02(&self) -> Value {
        let mut environment = json!({ "platform": self.invocation.platform });
        if !self.invocation.dockerfile_version.is_empty() {
            environment["dockerfileVersion"] = self.invocation.dockerfile_version.as_str().into();
        }
        let mut source = self.request.config.clone();
        if let Some(path) = source.remove("path") {
            source.insert("entryPoint".to_owned(), path);
        }
        let mut metadata = json!({
            "buildInvocationID": self.invocation.id,
            "buildStartedOn": self.invocation.started.to_string(),
            "buildFinishedOn": self.invocation.finished.to_string(),
            "completeness": {
                "parameters": self.is_whole,
                "environment": true,
                "materials": self.is_complete,
            },
            "reproducible": self.options.reproducible,
        });
        metadata[METADATA_V02] = self.metadata();
        if self.is_hermetic() {
            metadata[HERMETIC_V02] = true.into();
        }
        let mut predicate = json!({
            "builder": { "id": self.options.builder },
            "buildType": BUILD_TYPE_V02,
            "invocation": {
                "configSource": source,
                "parameters": self.parameters(),
                "environment": environment,
            },
        });
        predicate["metadata"] = metadata;
        if let Some(materials) = self.materials() {
            predicate["materials"] = materials;
        }
        if let Some(config) = self.build_config() {
            predicate["buildConfig"] = config;
        }
        predicate
    }

    fn is_hermetic(&self) -> bool {
        self.is_complete && !self.capture.network
    }

    /// What was asked for.
    fn parameters(&self) -> Value {
        let mut parameters = request(&self.invocation.frontend, &self.request.args);
        let locals = &self.capture.locals;
        if !locals.is_empty() {
            parameters["locals"] = locals.iter().map(|name| json!({ "name": name })).collect();
        }
        if self.options.mode == ProvenanceMode::Max {
            for (key, named) in [("secrets", &self.capture.secrets), ("ssh", &self.capture.agents)] {
                if !named.is_empty() {
                    parameters[key] = named.iter().map(named_value).collect();
                }
            }
        }
        if let Some(root) = &self.root {
            parameters["root"] = json!({ "configSource": root.config, "request": request("", &root.args) });
        }
        parameters
    }

    fn materials(&self) -> Option<Value> {
        let all = self.capture.images.iter().chain(&self.capture.elsewhere);
        let all: Vec<Value> =
            all.map(|material| json!({ "uri": material.uri, "digest": digest(material) })).collect();
        (!all.is_empty()).then(|| all.into())
    }

    fn build_config(&self) -> Option<Value> {
        let target = self.capture.target.filter(|_| self.options.mode == ProvenanceMode::Max)?;
        let mut config = json!({});
        config["llbDefinition"] = steps(&self.capture.graph, target).into();
        Some(config)
    }

    /// Where the steps stand in the Dockerfile.
    fn metadata(&self) -> Value {
        let mut metadata = Map::new();
        if !self.vcs.is_empty() {
            metadata.insert("vcs".to_owned(), self.vcs.clone().into());
        }
        if let Some(config) = &self.invocation.config
            && self.options.mode == ProvenanceMode::Max
        {
            let locations: Map<String, Value> = self
                .capture
                .graph
                .iter()
                .filter_map(|(id, vertex)| Some((id, vertex.display.location.as_ref()?)))
                .map(|(id, place)| {
                    let range = json!({ "start": { "line": place.line }, "end": { "line": place.end_line } });
                    let place = json!({ "locations": [{ "ranges": [range] }] });
                    (super::steps::name(id), place)
                })
                .collect();
            let info = json!({
                "filename": config.filename,
                "language": "Dockerfile",
                "data": STANDARD.encode(&config.text),
            });
            let mut source = json!({ "infos": [info] });
            source["locations"] = locations.into();
            metadata.insert("source".to_owned(), source);
        }
        metadata.into()
    }
}

fn request(frontend: &str, args: &BTreeMap<String, String>) -> Value {
    let mut request = json!({});
    if !frontend.is_empty() {
        request["frontend"] = frontend.into();
    }
    if !args.is_empty() {
        request["args"] = json!(args);
    }
    request
}

fn named_value((id, optional): (&String, &bool)) -> Value {
    let mut value = json!({ "id": id });
    if *optional {
        value["optional"] = true.into();
    }
    value
}

fn digest(material: &Material) -> Value {
    let mut digest = Map::new();
    digest.insert(material.algorithm.clone(), material.digest.as_str().into());
    digest.into()
}
