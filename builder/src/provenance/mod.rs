//! Where an image comes from, as a statement that tools check: SLSA provenance, in the words that BuildKit uses.
//!
//! [`Capture`] is what a build was made of, [`Invocation`] who asked for what and when; [`Capture::predicate`] makes the
//! statement's content of both. Nothing here is secret: credentials are taken out of URLs, and values of secrets never get here.
//! How the statement travels with the image is `crate::images`' business.

mod capture;
mod options;
mod predicate;
mod purl;
mod steps;

pub use capture::{Capture, Material};
pub use options::{ProvenanceError, ProvenanceMode, ProvenanceOptions, SlsaVersion};
pub use predicate::{ConfigFile, Invocation};
pub use purl::purl;

#[cfg(test)]
mod tests;
