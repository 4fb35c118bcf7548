//! The client against registries: one in the process that misbehaves to order, and a real one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod actions;
mod faults;
mod login;
mod peers;
mod pull;
mod push;
mod real;
mod support;
mod tls;
