//! Graphs of clients: what each operation is lowered to, what hostile ones get for an answer, and what random ones build.

mod capabilities;
mod hostile;
mod lowering;
mod model;
mod random;
mod world;

use prost::Message as _;

use super::definition::digest;
use crate::api::pb;

/// A definition that is being written.
#[derive(Default)]
pub(super) struct Writer {
    ops: Vec<Vec<u8>>,
}

impl Writer {
    /// Adds an operation; returns its digest.
    pub(super) fn add(&mut self, op: pb::op::Op, inputs: &[(&str, i64)]) -> String {
        let input = |(digest, index): &(&str, i64)| pb::Input { digest: (*digest).to_owned(), index: *index };
        let op = pb::Op { inputs: inputs.iter().map(input).collect(), op: Some(op), ..pb::Op::default() };
        self.push(&op)
    }

    /// Adds an operation as it is.
    pub(super) fn push(&mut self, op: &pb::Op) -> String {
        let bytes = op.encode_to_vec();
        let name = digest(&bytes);
        if !self.ops.contains(&bytes) {
            self.ops.push(bytes);
        }
        name
    }

    /// The definition whose result is that output.
    pub(super) fn definition(&self, result: (&str, i64)) -> pb::Definition {
        let input = pb::Input { digest: result.0.to_owned(), index: result.1 };
        let end = pb::Op { inputs: vec![input], ..pb::Op::default() };
        let mut def = self.ops.clone();
        def.push(end.encode_to_vec());
        pb::Definition { def, ..pb::Definition::default() }
    }
}

/// A source operation with these attributes.
pub(super) fn source(identifier: &str, attributes: &[(&str, &str)]) -> pb::op::Op {
    let attrs = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    pb::op::Op::Source(pb::SourceOp { identifier: identifier.to_owned(), attrs })
}

/// A file operation of actions each of which goes on with the one before; the last one is its output. Inputs are numbered as in
/// the operation; the first action changes input `first`.
pub(super) fn file(actions: Vec<(pb::file_action::Action, i64)>, first: i64, inputs: i64) -> pb::op::Op {
    let last = actions.len().saturating_sub(1);
    let action = |(number, (action, secondary)): (usize, (pb::file_action::Action, i64))| pb::FileAction {
        input: match i64::try_from(number) {
            Ok(number) if number > 0 => inputs + number - 1,
            _ => first,
        },
        secondary_input: secondary,
        output: if number == last { 0 } else { -1 },
        action: Some(action),
    };
    pb::op::Op::File(pb::FileOp { actions: actions.into_iter().enumerate().map(action).collect() })
}
