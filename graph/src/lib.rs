//! The plan of a build: a graph of operations, lowered from the stages of a Dockerfile.

pub mod graph;
pub mod image;
pub mod op;
pub mod plan;

pub use graph::{Display, Graph, Location, Vertex, VertexId};
