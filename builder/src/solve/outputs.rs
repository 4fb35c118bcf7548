//! What commands leave in mounts whose files are results: recorded beside the command's own layer, found again with it.
//!
//! Each has a record of its own, under a key made of the command's, of the layer that the command made, and of what the mount
//! began as. A command whose layer is known and whose outputs are not is executed again. Called by [`super::command`] and, for
//! the vertices that stand for such a mount, by [`super::vertex`].

use std::sync::PoisonError;
use std::time::Instant;

use kiln_cache::{DiffId, LayerInfo, Record, StoreError};
use kiln_graph::op::{Exec, ExecMount, Op};
use kiln_graph::{Vertex, VertexId};

use super::Solve;
use super::ask::layer_ref;
use super::key::{self, StepKey};
use super::vertex::{malformed, snapshot_input};
use crate::error::StepError;
use crate::snapshot::{LayerRef, Snapshot};

/// The outputs of one command.
pub(super) struct Outputs<'a> {
    solve: &'a Solve,
    id: VertexId,
    vertex: &'a Vertex,
    /// The number of each mount, and what it begins as.
    mounts: Vec<(usize, Snapshot)>,
}

/// Whether the vertex has outputs.
pub(super) fn has_any(vertex: &Vertex) -> bool {
    let Op::Exec(op) = &vertex.op else { return false };
    op.mounts.iter().any(|mount| matches!(mount, ExecMount::Output { .. }))
}

impl<'a> Outputs<'a> {
    /// Those of this vertex.
    pub(super) fn of(
        solve: &'a Solve,
        id: VertexId,
        vertex: &'a Vertex,
        op: &Exec,
    ) -> Result<Self, StepError> {
        let mut mounts = Vec::new();
        for (number, mount) in op.mounts.iter().enumerate() {
            if let ExecMount::Output { input, .. } = mount {
                mounts.push((number, snapshot_input(solve, vertex, *input)?));
            }
        }
        Ok(Self { solve, id, vertex, mounts })
    }

    /// Whether the command's layer is recorded and one of these is not.
    pub(super) fn are_lost(&self, command: &StepKey) -> Result<bool, StepError> {
        if self.mounts.is_empty() {
            return Ok(false);
        }
        let record = self.solve.store.records().get(&command.key).map_err(StoreError::from)?;
        let Some(layer) = record.and_then(|record| record.layer) else { return Ok(false) };
        for (mount, root) in &self.mounts {
            if self.recorded(command, &layer, *mount, root)?.is_none() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Takes the recorded outputs of the command that made `layer` as results.
    pub(super) fn recall(&self, command: &StepKey, layer: &DiffId) -> Result<(), StepError> {
        for (mount, root) in &self.mounts {
            let found = self.recorded(command, layer, *mount, root)?;
            let found =
                found.ok_or_else(|| malformed(format!("the output of mount {mount} is not recorded")))?;
            self.leave(*mount, root.with(found));
        }
        Ok(())
    }

    /// Records what the command that made `layer` left, and takes it as results.
    pub(super) fn keep(
        &self,
        command: &StepKey,
        layer: &DiffId,
        left: &[(usize, LayerInfo)],
        began: Instant,
    ) -> Result<(), StepError> {
        for (mount, root) in &self.mounts {
            let info = left.iter().find(|(number, _)| number == mount).map(|(_, info)| info);
            let info = info.ok_or_else(|| malformed(format!("mount {mount} has no output")))?;
            let key = self.key(command, layer, *mount, root);
            let created = jiff::Timestamp::now();
            let record = Record {
                key: key.key,
                slot: key.slot,
                parts: key.parts,
                notes: Vec::new(),
                layer: Some(info.diff_id.clone()),
                created,
                origin: None,
                milliseconds: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            };
            self.solve.store.records().put(&record).map_err(StoreError::from)?;
            self.solve.writeback.wrote(info.size);
            self.leave(*mount, root.with(layer_ref(info.diff_id.clone(), created)));
        }
        Ok(())
    }

    fn recorded(
        &self,
        command: &StepKey,
        layer: &DiffId,
        mount: usize,
        root: &Snapshot,
    ) -> Result<Option<LayerRef>, StepError> {
        let key = self.key(command, layer, mount, root).key;
        let record = self.solve.store.records().get(&key).map_err(StoreError::from)?;
        let Some((diff_id, created)) = record.and_then(|record| Some((record.layer?, record.created))) else {
            return Ok(None);
        };
        let here = self.solve.store.layers().info(&diff_id)?.is_some();
        Ok(here.then(|| layer_ref(diff_id, created)))
    }

    fn key(&self, command: &StepKey, layer: &DiffId, mount: usize, root: &Snapshot) -> StepKey {
        let display = &self.vertex.display;
        let name = format!("{} (mount {mount})", display.name);
        let slot = self.solve.slot(&display.stage, &name);
        key::changes::output(&command.key, &layer.to_string(), mount, &root.identity(), slot)
    }

    fn leave(&self, mount: usize, snapshot: Snapshot) {
        self.solve.left.lock().unwrap_or_else(PoisonError::into_inner).insert((self.id, mount), snapshot);
    }
}

/// What the command that is input 0 left in its mount of that number.
pub(super) fn left(solve: &Solve, vertex: &Vertex, mount: usize) -> Result<Snapshot, StepError> {
    let command = vertex.inputs.first().copied();
    let left = solve.left.lock().unwrap_or_else(PoisonError::into_inner);
    let found = command.and_then(|command| left.get(&(command, mount)).cloned());
    found.ok_or_else(|| malformed(format!("input 0 leaves nothing in mount {mount}")))
}
