//! Graphs as clients write them: operations that are encoded, and named by what they are.

use std::collections::BTreeMap;

use kiln_cache::digest_of;
use kiln_server::api::pb;
use prost::Message as _;

/// A result of an operation.
#[derive(Clone, Debug)]
pub struct Edge {
    pub digest: String,
    pub index: i64,
}

/// A definition that is being written.
#[derive(Default)]
pub struct Graph {
    ops: Vec<Vec<u8>>,
    pub metadata: BTreeMap<String, pb::OpMetadata>,
    pub source: Option<pb::Source>,
}

impl Graph {
    /// Adds an operation; its first result is returned.
    pub fn add(&mut self, op: pb::op::Op, inputs: &[&Edge]) -> Edge {
        let input = |edge: &&Edge| pb::Input { digest: edge.digest.clone(), index: edge.index };
        let op = pb::Op { inputs: inputs.iter().map(input).collect(), op: Some(op), ..pb::Op::default() };
        let bytes = op.encode_to_vec();
        let digest = digest_of(&bytes).to_string();
        if !self.ops.contains(&bytes) {
            self.ops.push(bytes);
        }
        Edge { digest, index: 0 }
    }

    /// A source without attributes.
    pub fn source(&mut self, identifier: &str) -> Edge {
        let source = pb::SourceOp { identifier: identifier.to_owned(), ..pb::SourceOp::default() };
        self.add(pb::op::Op::Source(source), &[])
    }

    /// A file system of one file.
    pub fn file(&mut self, path: &str, data: &[u8]) -> Edge {
        let make = pb::FileActionMkFile {
            path: path.to_owned(),
            mode: 0o644,
            data: data.to_owned(),
            timestamp: 0,
            owner: None,
        };
        let mut actions = vec![(pb::file_action::Action::Mkfile(make), -1)];
        if let Some((parent, _)) = path.rsplit_once('/').filter(|(parent, _)| !parent.is_empty()) {
            let parent = pb::FileActionMkDir {
                path: parent.to_owned(),
                mode: 0o755,
                make_parents: true,
                timestamp: 0,
                owner: None,
            };
            actions.insert(0, (pb::file_action::Action::Mkdir(parent), -1));
        }
        self.actions(actions, &[])
    }

    /// An empty file system, changed by these actions in turn.
    pub fn actions(&mut self, actions: Vec<(pb::file_action::Action, i64)>, inputs: &[&Edge]) -> Edge {
        let (count, last) = (i64::try_from(inputs.len()).unwrap(), actions.len() - 1);
        let number = |number: usize| i64::try_from(number).unwrap();
        let action = |(index, (action, secondary_input)): (usize, _)| pb::FileAction {
            input: if index == 0 { -1 } else { count + number(index) - 1 },
            secondary_input,
            output: if index == last { 0 } else { -1 },
            action: Some(action),
        };
        let actions = actions.into_iter().enumerate().map(action).collect();
        self.add(pb::op::Op::File(pb::FileOp { actions }), inputs)
    }

    /// Files of several results, in one file system.
    pub fn collected(&mut self, files: &[(&Edge, &str, &str)]) -> Edge {
        let copy = |(index, (_, from, to)): (usize, &(&Edge, &str, &str))| {
            let copy = pb::FileActionCopy {
                src: (*from).to_owned(),
                dest: (*to).to_owned(),
                mode: -1,
                timestamp: -1,
                create_dest_path: true,
                ..pb::FileActionCopy::default()
            };
            (pb::file_action::Action::Copy(copy), i64::try_from(index).unwrap())
        };
        let inputs: Vec<&Edge> = files.iter().map(|(edge, _, _)| *edge).collect();
        self.actions(files.iter().enumerate().map(copy).collect(), &inputs)
    }

    /// A command.
    pub fn exec(&mut self, exec: pb::ExecOp, inputs: &[&Edge]) -> Edge {
        self.add(pb::op::Op::Exec(exec), inputs)
    }

    /// The definition whose result is that.
    pub fn definition(&self, result: &Edge) -> pb::Definition {
        let input = pb::Input { digest: result.digest.clone(), index: result.index };
        let end = pb::Op { inputs: vec![input], ..pb::Op::default() };
        let mut def = self.ops.clone();
        def.push(end.encode_to_vec());
        let metadata = self.metadata.clone().into_iter().collect();
        pb::Definition { def, metadata, source: self.source.clone() }
    }
}

impl Edge {
    /// Another result of the same operation.
    pub fn output(&self, index: i64) -> Self {
        Self { index, ..self.clone() }
    }
}

/// `sh -c SCRIPT` on input 0, which is changed; the result is output 0.
pub fn shell(script: &str) -> pb::ExecOp {
    let args = ["/bin/sh", "-ec", script].map(str::to_owned).to_vec();
    let meta = pb::Meta { args, cwd: "/".to_owned(), ..pb::Meta::default() };
    pb::ExecOp { meta: Some(meta), mounts: vec![mount("/", 0, 0)], ..pb::ExecOp::default() }
}

/// An input at a path.
pub fn mount(dest: &str, input: i64, output: i64) -> pb::Mount {
    pb::Mount { dest: dest.to_owned(), input, output, ..pb::Mount::default() }
}
