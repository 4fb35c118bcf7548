//! Graphs that clients send themselves.

/// What may stand in such a graph.
pub(crate) const CAPABILITIES: &[&str] = &["constraints", "platform", "meta.description", "meta.ignorecache"];
