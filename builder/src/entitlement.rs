//! Whether the steps of a graph ask for more than the build was granted.
//!
//! Asked before anything is executed, and by what the operations say, wherever the graph came from (CVE-2024-23653).
//! Called by [`crate::solve`].

use std::collections::BTreeSet;

use kiln_graph::op::{Exec, Op};
use kiln_graph::{Entitlement, Entitlements, Graph};

use crate::device::Devices;
use crate::error::{BuildError, StepError};

/// The first step that asks for too much is the error.
pub(crate) fn check(graph: &Graph, granted: &Entitlements, devices: &Devices) -> Result<(), BuildError> {
    for (id, vertex) in graph.iter() {
        let Op::Exec(exec) = &vertex.op else { continue };
        if let Some(needed) = granted.missing(exec).or_else(|| missing_device(exec, granted, devices)) {
            return Err(BuildError::Step {
                vertex: id,
                name: vertex.display.name.clone(),
                location: vertex.display.location.clone(),
                log: Vec::new(),
                cause: Box::new(StepError::NotEntitled { needed }),
            });
        }
    }
    Ok(())
}

/// A device that is there and that neither the build was granted nor everybody may use.
fn missing_device(exec: &Exec, granted: &Entitlements, devices: &Devices) -> Option<Entitlement> {
    if granted.devices.all {
        return None;
    }
    let names = granted.devices.names.iter().flat_map(|name| devices.named(name));
    let usable: BTreeSet<&str> = names.collect();
    let mut asked = exec.devices.iter().flat_map(|device| devices.named(&device.name));
    let missing = asked.find(|full| !usable.contains(full) && !devices.is_open(full))?;
    Some(Entitlement::Device(missing.to_owned()))
}
