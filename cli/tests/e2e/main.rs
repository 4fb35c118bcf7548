//! The end-to-end tests: the kiln binary against real registries, real builders and real runtimes of the machine.
//!
//! They need root and the packages of `scripts/packages`; a tool that is missing is an error that says how to install it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on says so by failing"
)]

mod authentication;
mod bad_input;
mod buildkit;
mod cache;
mod check;
mod clock;
mod commands;
mod concurrency;
mod copy;
mod corpus;
mod crash;
mod damage;
mod demo;
mod determinism;
mod differential;
mod elsewhere;
mod entitlements;
mod exchange;
mod hostile;
mod idle;
mod interrupt;
mod key_table;
mod keys;
mod limits;
mod linked;
mod login;
mod mounts;
mod named_contexts;
mod outputs;
mod rawjson;
mod run;
mod scheduling;
mod shared_cache;
mod storage;
mod trace;
mod why;
mod zoo;

/// The web server of the registry's own tests: what downloads are tested with is the same everywhere.
#[path = "../../../registry/src/testing/web.rs"]
#[allow(dead_code, reason = "the registry's tests use the rest")]
mod web;

/// Its repositories.
#[path = "../../../registry/src/testing/git.rs"]
#[allow(dead_code, reason = "the builder's tests use the rest")]
mod git_server;

#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "each of the binaries that share this uses its part")]
mod support;
