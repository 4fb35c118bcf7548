//! The plan of a build: a graph of operations, lowered from the stages of a Dockerfile.
//!
//! Pure: no I/O, no clock, no environment; what a base image is comes through [`plan::ResolveBase`].
//! [`lower()`] makes a [`plan::Plan`] for the builder to solve; [`pattern`] is Docker's pattern language, which
//! the builder applies to real directories.

pub mod answer;
mod entitlement;
pub mod graph;
pub mod image;
pub mod lower;
pub mod mode;
pub mod op;
mod path;
pub mod pattern;
pub mod plan;
mod redact;

pub use entitlement::{DeviceEntitlements, Entitlement, Entitlements, GrantError};
pub use graph::{Display, Graph, Location, Vertex, VertexId};
pub use lower::{LowerOptions, Lowered, is_scp_like, lower, remote_source, unescaped};
pub use path::from_root;
pub use redact::redact;
