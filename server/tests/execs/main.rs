//! Commands of clients' builds, executed for real: a daemon in this process, a client of the tests' own, graphs as clients send
//! them, and Dockerfiles with what commands are given. Needs root, and a static busybox at /bin/busybox (Debian:
//! busybox-static).
//!
//! This binary re-executes itself as the sandbox's supervisor, so it has a `main` of its own.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
#![allow(clippy::print_stdout, reason = "the report of the tests")]

#[path = "../builds/client.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod client;
mod commands;
mod composed;
mod driven;
#[path = "../builds/entries.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod entries;
#[path = "../builds/files.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod files;
mod graph;
#[path = "../../../sandbox/tests/sandbox/harness.rs"]
mod harness;
mod hosts;
mod limits;
#[path = "../builds/manners.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod manners;
mod secrets;
#[path = "../builds/services.rs"]
mod services;
mod world;

use std::process::ExitCode;

fn main() -> ExitCode {
    kiln_sandbox::run_child_if_asked();
    assert!(
        rustix::process::geteuid().is_root(),
        "these tests execute commands in sandboxes: run them as root"
    );
    let mut tests = Vec::new();
    tests.extend(commands::TESTS);
    tests.extend(hosts::TESTS);
    tests.extend(limits::TESTS);
    tests.extend(composed::TESTS);
    tests.extend(driven::TESTS);
    tests.extend(secrets::TESTS);
    harness::run(&tests)
}
