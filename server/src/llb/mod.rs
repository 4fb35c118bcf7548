//! Graphs that clients send themselves: decoded (`definition`), lowered into kiln's own graph (`lower`, one module for
//! each kind of operation), and solved (`solve`).
//!
//! What an operation asks for that is not done here is an error that names it, before anything is executed.

mod capabilities;
mod compose;
mod definition;
mod error;
mod exec;
mod file;
mod inputs;
mod judged;
mod lower;
mod materials;
mod nested;
mod origin;
mod resolve;
mod solve;
mod source;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;

pub(crate) use capabilities::CAPABILITIES;
pub(crate) use definition::Definition;
#[cfg(feature = "fuzzing")]
pub(crate) use definition::digest;
pub(crate) use error::LlbError;
pub(crate) use inputs::{as_images, configured, definition_of, result_id};
pub(crate) use judged::source_of;
pub(crate) use lower::{Layouts, Local, Lowered, lower, platform};
#[cfg(feature = "fuzzing")]
pub(crate) use nested::lower_nested;
pub(crate) use resolve::{Known, resolve};
pub(crate) use solve::{check, result_of, solve};
