//! Builds within graphs: an operation whose result is that of a definition which another operation makes.
//!
//! The definition is a file. The operations that make it are solved first, what it says joins the other operations, and then
//! everything is one graph.

use std::path::Path;

use kiln_cache::NodeKind;
use prost::Message as _;
use tonic::{Code, Status};

use super::definition::Edge;
use super::lower::{About, EMPTY};
use super::solve::Work;
use super::{Definition, LlbError};
use crate::api::pb;
use crate::failure::told;

/// The input that has the definition, and the file that it is in unless another one is named.
const DEFINITION: &str = "buildkit.llb.definition";

/// The attribute that names another file.
const FILENAME: &str = "llbbuild.filename";

/// The builder that takes definitions: no input, but the daemon itself.
const THIS: i64 = EMPTY;

/// Most builds of one graph: each may name further ones, without an end.
const MOST: usize = 256;

/// Largest definition: what a client could send by itself.
const LARGEST: u64 = 16 << 20;

/// A build operation whose definition is to be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Nested {
    /// Its digest.
    pub(super) operation: String,
    /// What has the file.
    pub(super) result: Edge,
    /// The path of the file.
    pub(super) file: String,
}

impl Nested {
    /// The first one of a graph; those that come later may need it.
    pub(super) fn first(definition: &Definition) -> Result<Option<Self>, LlbError> {
        let found = definition.ops.iter().find_map(|(digest, op)| match &op.op {
            Some(pb::op::Op::Build(build)) if !definition.builds.contains_key(digest) => {
                Some((About::new(digest.clone(), op, &definition.metadata, ""), op, build))
            }
            _ => None,
        });
        let Some((about, op, build)) = found else { return Ok(None) };
        if definition.builds.len() >= MOST {
            return Err(
                about.unsupported("inputs", format!("there are more than {MOST} builds in the graph"))
            );
        }
        if build.builder != THIS {
            return Err(about.unsupported("builder", "only definitions are built, with the builder -1"));
        }
        if build.def.is_some() {
            return Err(about.unsupported("def", "a definition is taken from an input alone"));
        }
        if let Some(name) = build.attrs.keys().filter(|name| *name != FILENAME).min() {
            return Err(about.unsupported(name.as_str(), "the attribute is not known"));
        }
        if let Some(name) = build.inputs.keys().filter(|name| *name != DEFINITION).min() {
            return Err(about.unsupported("inputs", format!("the input `{name}` is not known")));
        }
        let input = build.inputs.get(DEFINITION);
        let input = input.ok_or_else(|| about.wrong("inputs", format!("`{DEFINITION}` is missing")))?.input;
        let edge = usize::try_from(input).ok().and_then(|number| op.inputs.get(number));
        let edge = edge.ok_or_else(|| {
            about.wrong("inputs", format!("input {input} is not one of its {} inputs", op.inputs.len()))
        })?;
        let result = (edge.digest.clone(), edge.index);
        let file = build.attrs.get(FILENAME).filter(|name| !name.is_empty()).cloned();
        Ok(Some(Self {
            operation: about.digest,
            result,
            file: file.unwrap_or_else(|| DEFINITION.to_owned()),
        }))
    }

    /// Something that is wrong with the file.
    fn wrong(&self, detail: &str) -> LlbError {
        LlbError::Field {
            op: "build",
            digest: self.operation.clone(),
            field: format!("definition {}", self.file),
            detail: detail.to_owned(),
            unsupported: false,
        }
    }
}

impl Work<'_> {
    /// The graph with the definitions of all builds in it.
    pub(super) async fn expanded(&self, mut definition: Definition) -> Result<Definition, Status> {
        loop {
            let first = Nested::first(&definition);
            let Some(nested) = first.map_err(|error| error.told(&definition.origins))? else {
                return Ok(definition);
            };
            let bytes = self.definition_file(&definition, &nested).await?;
            let taken = pb::Definition::decode(bytes.as_slice())
                .map_err(|error| nested.wrong(&format!("it is none: {error}")))
                .and_then(|message| Definition::read(&message))
                .and_then(|inner| definition.take_in(&nested.operation, inner));
            taken.map_err(|error| error.told(&definition.origins))?;
        }
    }

    async fn definition_file(&self, definition: &Definition, nested: &Nested) -> Result<Vec<u8>, Status> {
        let solved = self.image(definition.for_result(&nested.result)).await?;
        let files = self.builder.images().files(&solved.record, &self.progress).await;
        let files = files.map_err(|error| told(Code::Unknown, &error))?;
        let (file, wrong) =
            (nested.file.clone(), |detail: &str| nested.wrong(detail).told(&definition.origins));
        let read = tokio::task::spawn_blocking(move || {
            let resolved = files.view.resolve(Path::new(&file), true)?;
            match resolved.node {
                None => Ok(Err("there is no such file")),
                Some(node) if node.kind != NodeKind::File => Ok(Err("it is not a regular file")),
                Some(node) if node.size > LARGEST => Ok(Err("it is larger than a definition may be")),
                Some(_) => files.view.read(&resolved.path, LARGEST).map(Ok),
            }
        });
        let read = read.await.map_err(|_| Status::internal("reading ended without a result"))?;
        read.map_err(|error| told(Code::Unknown, &error))?.map_err(wrong)
    }
}

/// Lowers a graph in which each build is given the graph itself.
#[cfg(feature = "fuzzing")]
pub(crate) fn lower_nested(mut definition: Definition) -> Result<super::Lowered, LlbError> {
    let inner = definition.clone();
    while let Some(nested) = Nested::first(&definition)? {
        drop(definition.for_result(&nested.result));
        definition.take_in(&nested.operation, inner.clone())?;
    }
    super::lower(definition, "linux/amd64", super::Layouts::new())
}
