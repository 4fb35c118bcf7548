//! The builder as a daemon that BuildKit's clients talk to.

pub mod api;
mod rendezvous;
mod session;
