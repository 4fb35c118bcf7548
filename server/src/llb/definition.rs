//! A definition as it came, decoded: operations by digest, in an order in which inputs come first, without those that the
//! result does not need.
//!
//! Pure, and total: whatever the bytes are, there is an answer, and nothing here recurses (CVE-2024-23650).

use std::collections::{HashMap, HashSet};

use prost::Message as _;

use super::LlbError;
use super::origin::Origins;
use super::source::{ClientLayout, client_layout};
use crate::api::pb;

/// Most operations of one definition: several times as many as large builds have, and few enough for each to be looked at.
const MAX_OPS: usize = 100_000;

/// A result of an operation: its digest and the number of the output.
pub(super) type Edge = (String, i64);

/// The operations that a result needs.
#[derive(Debug, Clone)]
pub(crate) struct Definition {
    /// Inputs before the operations that take them.
    pub(super) ops: Vec<(String, pb::Op)>,
    /// What is asked for; nothing for an empty file system.
    pub(super) result: Option<Edge>,
    /// What is said of operations beside what they do.
    pub(super) metadata: HashMap<String, pb::OpMetadata>,
    /// Where operations were written.
    pub(super) origins: Origins,
    /// What build operations stand for whose own definitions are among these operations by now.
    pub(super) builds: HashMap<String, Option<Edge>>,
}

impl Definition {
    /// Decodes and sorts.
    pub(crate) fn read(message: &pb::Definition) -> Result<Self, LlbError> {
        let count = message.def.len();
        if count > MAX_OPS {
            return Err(LlbError::TooMany { count, most: MAX_OPS });
        }
        let mut ops = HashMap::with_capacity(count);
        let mut last = None;
        for (number, bytes) in message.def.iter().enumerate() {
            let digest = digest(bytes);
            let op = pb::Op::decode(bytes.as_slice()).map_err(|error| LlbError::Undecodable {
                number,
                digest: digest.clone(),
                detail: error.to_string(),
            })?;
            last = Some(digest.clone());
            ops.insert(digest, op);
        }
        let end = last.and_then(|digest| ops.remove(&digest)).ok_or(LlbError::Empty)?;
        let result = match end.inputs.as_slice() {
            // An empty file system has no operation that makes it.
            [] if end.op.is_none() && count == 1 => None,
            [input] if end.op.is_none() => Some((input.digest.clone(), input.index)),
            inputs => return Err(LlbError::NoResult { count: inputs.len() }),
        };
        let ops = match &result {
            Some((digest, _)) => sorted(ops, digest, &HashMap::new())?,
            None => Vec::new(),
        };
        let (metadata, origins) = (message.metadata.clone(), Origins::of(message));
        Ok(Self { ops, result, metadata, origins, builds: HashMap::new() })
    }

    /// The same operations, as far as that result needs them.
    pub(super) fn for_result(&self, result: &Edge) -> Self {
        let mut needed = HashSet::from([result.0.as_str()]);
        let mut ops = Vec::new();
        for (digest, op) in self.ops.iter().rev() {
            if needed.contains(digest.as_str()) {
                needed.extend(takes((digest, op), &self.builds));
                ops.push((digest.clone(), op.clone()));
            }
        }
        ops.reverse();
        Self { ops, result: Some(result.clone()), ..self.without_ops() }
    }

    /// Takes in the definition that a build operation stands for.
    pub(super) fn take_in(&mut self, build: &str, nested: Self) -> Result<(), LlbError> {
        let Some((target, _)) = &self.result else { return Ok(()) };
        self.builds.insert(build.to_owned(), nested.result);
        self.origins.take_in(nested.origins);
        for (digest, metadata) in nested.metadata {
            self.metadata.entry(digest).or_insert(metadata);
        }
        // What both have is the same: its name is made of what it is.
        let all: HashMap<String, pb::Op> = self.ops.drain(..).chain(nested.ops).collect();
        if all.len() > MAX_OPS {
            return Err(LlbError::TooMany { count: all.len(), most: MAX_OPS });
        }
        self.ops = sorted(all, target, &self.builds)?;
        Ok(())
    }

    fn without_ops(&self) -> Self {
        let Self { metadata, origins, builds, .. } = self;
        let (metadata, origins, builds) = (metadata.clone(), origins.clone(), builds.clone());
        Self { ops: Vec::new(), result: None, metadata, origins, builds }
    }
}

/// The operations that an operation takes results of.
fn takes<'a>(
    (digest, op): (&'a String, &'a pb::Op),
    builds: &'a HashMap<String, Option<Edge>>,
) -> impl Iterator<Item = &'a str> {
    let build = builds.get(digest);
    let own = op.inputs.iter().filter(move |_| build.is_none()).map(|input| input.digest.as_str());
    own.chain(build.into_iter().flatten().map(|(digest, _)| digest.as_str()))
}

impl Definition {
    /// The images of clients' layouts that the result needs, each with the platform that is meant: they are copied before the
    /// graph is lowered.
    pub(crate) fn layouts(&self) -> Vec<(ClientLayout, Option<&pb::Platform>)> {
        let layout = |(_, op): &'_ (String, pb::Op)| match &op.op {
            Some(pb::op::Op::Source(source)) => client_layout(source),
            _ => None,
        };
        self.ops.iter().filter_map(|op| Some((layout(op)?, op.1.platform.as_ref()))).collect()
    }
}

/// The operations that `target` needs, inputs first.
fn sorted(
    mut ops: HashMap<String, pb::Op>,
    target: &str,
    builds: &HashMap<String, Option<Edge>>,
) -> Result<Vec<(String, pb::Op)>, LlbError> {
    let mut order = Vec::new();
    let (mut begun, mut done) = (HashSet::new(), HashSet::new());
    let mut stack = vec![target.to_owned()];
    while let Some(digest) = stack.last().cloned() {
        if done.contains(&digest) {
            stack.pop();
            continue;
        }
        let op = ops.get(&digest).ok_or_else(|| LlbError::MissingInput { digest: digest.clone() })?;
        let waiting: Vec<&str> =
            takes((&digest, op), builds).filter(|input| !done.contains(*input)).collect();
        if waiting.is_empty() {
            stack.pop();
            done.insert(digest.clone());
            order.push(digest);
        } else if begun.insert(digest.clone()) {
            stack.extend(waiting.into_iter().map(str::to_owned));
        } else {
            // A digest that is made of itself: only a broken hash gives one.
            return Err(LlbError::Cycle { digest });
        }
    }
    Ok(order.into_iter().filter_map(|digest| ops.remove_entry(&digest)).collect())
}

/// The name of an operation: the digest of its bytes.
pub(crate) fn digest(bytes: &[u8]) -> String {
    kiln_cache::digest_of(bytes).to_string()
}
