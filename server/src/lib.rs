//! The builder as a daemon: BuildKit's clients (`buildctl`, `docker buildx`) build on kiln.
//!
//! A client opens a session, which makes it a server on the same connection (`session`); asks for a build
//! (`control`), which it drives itself or leaves to a frontend (`bridge`, `frontend`); watches it (`status`); and
//! is sent what it wanted of the result (`export`). Everything that is built, is built by `kiln-builder`. Called by the
//! command line; uses the parser, the graph, the cache's records, the registry's references and the builder. It prints
//! nothing and reads no environment.

pub mod api;
mod bridge;
mod build;
mod caches;
mod collect;
pub mod config;
mod contexts;
mod control;
mod ending;
mod entitlements;
mod export;
mod failure;
mod frontend;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod history;
pub mod listen;
mod llb;
mod policy;
mod progress;
mod rendezvous;
mod results;
mod running;
mod serve;
mod server;
mod session;
mod status;
mod unmet;
mod usage;

pub use entitlements::ENTITLEMENTS;
pub use serve::{ServeError, serve};
pub use server::{Log, ServerOptions};
pub use usage::{Policy, disk_size};
