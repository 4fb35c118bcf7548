//! From decoded operations to kiln's graph: which vertex is which output of which operation. Pure.

use std::collections::{BTreeMap, HashMap};

use kiln_graph::op::{CopyAction, CopySource, FileAction, FileOp, Op, Source};
use kiln_graph::{Display, Graph, Vertex, VertexId, pattern};

use super::definition::{Definition, Edge};
use super::source::ClientLayout;
use super::{LlbError, capabilities, exec, file, source};
use crate::api::pb;

/// A graph that can be solved.
#[derive(Debug)]
pub(crate) struct Lowered {
    /// The graph.
    pub(crate) graph: Graph,
    /// What is asked for.
    pub(crate) target: VertexId,
    /// `os/arch[/variant]` of what is asked for.
    pub(crate) platform: String,
    /// Directories at the client, by the names that contexts have in the graph.
    pub(crate) locals: BTreeMap<String, Local>,
    /// Whether an image is to be asked for in its registry, though it may be here.
    pub(crate) pulls: bool,
    /// Whether a command asks for the host's network by name.
    pub(crate) host_network: bool,
    /// The operations that vertices were made of, by their digests.
    pub(crate) operations: HashMap<VertexId, String>,
}

/// A directory at a client.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Local {
    /// What the client calls it.
    pub(crate) name: String,
    /// Names the copy that is kept of it, beside the client.
    pub(crate) place: String,
    /// The session that has it, if it is another than the build's.
    pub(crate) session: Option<String>,
    /// What alone is sent.
    pub(crate) include: Vec<String>,
    /// What is not sent.
    pub(crate) exclude: Vec<String>,
    /// Paths that are sent with whatever their links lead to.
    pub(crate) follow: Vec<String>,
    /// Tells places apart where copies are kept.
    pub(crate) hint: String,
}

/// Directories with copies of what clients have in layouts.
pub(crate) type Layouts = BTreeMap<ClientLayout, String>;

/// Lowers what the result needs. `host` is the platform of operations that name none.
pub(crate) fn lower(definition: Definition, host: &str, layouts: Layouts) -> Result<Lowered, LlbError> {
    let Definition { ops, result, metadata, builds, .. } = definition;
    let mut lowering = Lowering {
        graph: Graph::new(),
        outputs: HashMap::new(),
        roots: HashMap::new(),
        locals: BTreeMap::new(),
        scratch: None,
        pulls: false,
        host_network: false,
        layouts,
        builds,
        operations: HashMap::new(),
    };
    let mut platform = host.to_owned();
    for (digest, op) in ops {
        let about = About::new(digest, &op, &metadata, host);
        platform.clone_from(&about.platform);
        lowering.op(&about, &op)?;
    }
    let target = match result {
        Some(edge) => lowering.output(&edge)?,
        None => lowering.scratch(),
    };
    let target = lowering.root(target);
    let Lowering { graph, locals, pulls, host_network, operations, .. } = lowering;
    Ok(Lowered { graph, target, platform, locals, pulls, host_network, operations })
}

/// What the parts of a lowering know of the operation at hand.
pub(super) struct About<'a> {
    pub(super) digest: String,
    pub(super) kind: &'static str,
    pub(super) metadata: Option<&'a pb::OpMetadata>,
    /// `os/arch[/variant]`.
    pub(super) platform: String,
}

impl<'a> About<'a> {
    pub(super) fn new(
        digest: String,
        op: &pb::Op,
        metadata: &'a HashMap<String, pb::OpMetadata>,
        host: &str,
    ) -> Self {
        let kind = match &op.op {
            None => "empty",
            Some(pb::op::Op::Exec(_)) => "exec",
            Some(pb::op::Op::Source(_)) => "source",
            Some(pb::op::Op::File(_)) => "file",
            Some(pb::op::Op::Build(_)) => "build",
            Some(pb::op::Op::Merge(_)) => "merge",
            Some(pb::op::Op::Diff(_)) => "diff",
            Some(pb::op::Op::Passthrough(_)) => "passthrough",
        };
        let platform = op.platform.as_ref().map_or_else(|| host.to_owned(), platform);
        Self { metadata: metadata.get(&digest), digest, kind, platform }
    }

    /// Something in the operation that makes no sense.
    pub(super) fn wrong(&self, field: impl Into<String>, detail: impl Into<String>) -> LlbError {
        self.error(field.into(), detail.into(), false)
    }

    /// Something in the operation that is not done here.
    pub(super) fn unsupported(&self, field: impl Into<String>, detail: impl Into<String>) -> LlbError {
        self.error(field.into(), detail.into(), true)
    }

    fn error(&self, field: String, detail: String, unsupported: bool) -> LlbError {
        LlbError::Field { op: self.kind, digest: self.digest.clone(), field, detail, unsupported }
    }

    /// The vertex, with the name that the client gave it or `name`.
    pub(super) fn vertex(&self, op: Op, inputs: Vec<VertexId>, name: String) -> Vertex {
        let described = self.metadata.and_then(|metadata| metadata.description.get(CUSTOM_NAME));
        let name = described.filter(|name| !name.is_empty()).cloned().unwrap_or(name);
        let no_cache = self.metadata.is_some_and(|metadata| metadata.ignore_cache);
        Vertex { op, inputs, no_cache, display: Display { name, ..Display::default() } }
    }
}

/// `os/arch[/variant]` of a message; the variant that every machine of an architecture has is left out.
pub(crate) fn platform(message: &pb::Platform) -> String {
    let pb::Platform { os, architecture, variant, .. } = message;
    match (architecture.as_str(), variant.as_str()) {
        (_, "") | ("arm64", "v8") | ("amd64", "v1") => format!("{os}/{architecture}"),
        _ => format!("{os}/{architecture}/{variant}"),
    }
}

/// The key of a description that is how people know the operation.
const CUSTOM_NAME: &str = "llb.customname";

/// A lowering that is under way.
pub(super) struct Lowering {
    pub(super) graph: Graph,
    outputs: HashMap<Edge, VertexId>,
    /// File systems made of what is none yet.
    roots: HashMap<VertexId, VertexId>,
    locals: BTreeMap<String, Local>,
    scratch: Option<VertexId>,
    pub(super) pulls: bool,
    pub(super) host_network: bool,
    pub(super) layouts: Layouts,
    pub(super) builds: HashMap<String, Option<Edge>>,
    operations: HashMap<VertexId, String>,
}

impl Lowering {
    fn op(&mut self, about: &About<'_>, op: &pb::Op) -> Result<(), LlbError> {
        // A build was made of its inputs already.
        let is_build = matches!(op.op, Some(pb::op::Op::Build(_)));
        let mut inputs = Vec::with_capacity(op.inputs.len());
        for input in op.inputs.iter().filter(|_| !is_build) {
            inputs.push(self.output(&(input.digest.clone(), input.index))?);
        }
        capabilities::check(about)?;
        if about.metadata.is_some_and(|metadata| metadata.linux_resources.is_some()) {
            return Err(
                about.unsupported("linux_resources", "limits of resources are not set for single steps")
            );
        }
        let export = about.metadata.and_then(|metadata| metadata.export_cache);
        if export.is_some_and(|export| !export.value) {
            let detail = "results of single steps are not kept out of shared caches";
            return Err(about.unsupported("export_cache", detail));
        }
        match &op.op {
            Some(pb::op::Op::Source(op)) => self.one(about, |lowering| source::lower(lowering, about, op)),
            Some(pb::op::Op::Exec(op)) => {
                let outputs = exec::lower(self, about, op, &inputs)?;
                self.define(about, outputs);
                Ok(())
            }
            Some(pb::op::Op::File(op)) => {
                let outputs = file::lower(self, about, op, &inputs)?;
                self.define(about, outputs);
                Ok(())
            }
            Some(pb::op::Op::Merge(op)) => self.one(about, |lowering| lowering.merge(about, op, &inputs)),
            Some(pb::op::Op::Diff(op)) => self.one(about, |lowering| lowering.diff(about, op, &inputs)),
            Some(pb::op::Op::Build(_)) => self.one(about, |lowering| lowering.build(about)),
            Some(pb::op::Op::Passthrough(op)) => {
                let outputs = self.passthrough(about, op, &inputs)?;
                self.define(about, outputs);
                Ok(())
            }
            None => Err(about.wrong("op", "there is none")),
        }
    }

    fn one(
        &mut self,
        about: &About<'_>,
        make: impl FnOnce(&mut Self) -> Result<VertexId, LlbError>,
    ) -> Result<(), LlbError> {
        let vertex = make(self)?;
        self.define(about, vec![(0, vertex)]);
        Ok(())
    }

    fn define(&mut self, about: &About<'_>, outputs: Vec<(i64, VertexId)>) {
        self.outputs.extend(outputs.into_iter().map(|(index, id)| ((about.digest.clone(), index), id)));
    }

    pub(super) fn output(&self, edge: &Edge) -> Result<VertexId, LlbError> {
        let missing = || LlbError::NoOutput { digest: edge.0.clone(), index: edge.1 };
        self.outputs.get(edge).copied().ok_or_else(missing)
    }

    /// The input of that number; -1 is an empty file system.
    pub(super) fn input(
        &mut self,
        about: &About<'_>,
        field: &str,
        number: i64,
        inputs: &[VertexId],
    ) -> Result<VertexId, LlbError> {
        if number == EMPTY {
            return Ok(self.scratch());
        }
        let input = usize::try_from(number).ok().and_then(|number| inputs.get(number)).copied();
        let count = inputs.len();
        input.ok_or_else(|| about.wrong(field, format!("input {number} is not one of its {count} inputs")))
    }

    /// The name that a client's directory has in the graph: its own, unless there is another directory of that name.
    pub(super) fn context(&mut self, local: Local) -> String {
        let numbered = |number: usize| match number {
            1 => local.name.clone(),
            _ => format!("{} ({number})", local.name),
        };
        let mut number = 1;
        while self.locals.get(&numbered(number)).is_some_and(|known| *known != local) {
            number += 1;
        }
        let name = numbered(number);
        self.locals.insert(name.clone(), local);
        name
    }

    /// Adds a vertex whose inputs were lowered before.
    pub(super) fn add(&mut self, about: &About<'_>, vertex: Vertex) -> Result<VertexId, LlbError> {
        let added = self.graph.add(vertex).map_err(|_| about.wrong("inputs", "the graph is too large"))?;
        self.operations.insert(added, about.digest.clone());
        Ok(added)
    }

    /// The empty file system.
    pub(super) fn scratch(&mut self) -> VertexId {
        let known = self.scratch;
        let id =
            known.unwrap_or_else(|| self.push(Op::Source(Source::Scratch), Vec::new(), "scratch".to_owned()));
        self.scratch = Some(id);
        id
    }

    /// The same files as a file system: what is in no layer yet is copied into one.
    pub(super) fn root(&mut self, id: VertexId) -> VertexId {
        let name = match self.graph.get(id).map(|vertex| &vertex.op) {
            Some(Op::Source(Source::Context { .. })) => self.graph.get(id).map(|it| it.display.name.clone()),
            _ => return id,
        };
        if let Some(root) = self.roots.get(&id) {
            return *root;
        }
        let scratch = self.scratch();
        let root = self.push(copy(".", "/", false), vec![scratch, id], name.unwrap_or_default());
        self.roots.insert(id, root);
        if let Some(operation) = self.operations.get(&id).cloned() {
            self.operations.insert(root, operation);
        }
        root
    }

    /// A part of these files as the only layer of a file system, in which it is [`PART`].
    pub(super) fn single_layer(
        &mut self,
        about: &About<'_>,
        id: VertexId,
        part: &str,
    ) -> Result<VertexId, LlbError> {
        let scratch = self.scratch();
        let name = format!("copy {part}");
        self.add(
            about,
            about.vertex(copy(&pattern::literal(part), &format!("/{PART}"), true), vec![scratch, id], name),
        )
    }

    /// All inputs are in the graph already, and there are far fewer vertices than it can hold.
    fn push(&mut self, op: Op, inputs: Vec<VertexId>, name: String) -> VertexId {
        let display = Display { name, ..Display::default() };
        let vertex = Vertex { op, inputs, no_cache: false, display };
        self.graph.add(vertex).unwrap_or(VertexId(u32::MAX))
    }
}

/// What a path of input 1 holds, or is, copied.
fn copy(path: &str, to: &str, itself: bool) -> Op {
    let copy = CopyAction {
        input: Some(1),
        sources: vec![CopySource::Path(path.to_owned())],
        destination: to.to_owned(),
        owner: None,
        mode: None,
        excludes: Vec::new(),
        unpack: false,
        directories_themselves: itself,
    };
    Op::File(FileOp { actions: vec![FileAction::Copy(copy)], link: false })
}

/// Where a part is that was made a file system of its own.
pub(super) const PART: &str = "part";

/// The number of an input that stands for an empty file system.
pub(super) const EMPTY: i64 = -1;
