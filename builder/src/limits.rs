//! Limits of what commands may use, from the graph's words to the sandbox's. Used for steps and for containers.

use kiln_graph::op::Ulimit;
use kiln_sandbox::Limit;

/// The same limits for a sandbox.
pub(crate) fn of(limits: &[Ulimit]) -> Vec<Limit> {
    let limit = |limit: &Ulimit| {
        let Ulimit { name, soft, hard } = limit.clone();
        Limit { name, soft, hard }
    };
    limits.iter().map(limit).collect()
}
