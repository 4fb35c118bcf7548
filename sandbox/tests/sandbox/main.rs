//! Runs real sandboxes: needs root, and a static busybox at /bin/busybox (Debian: busybox-static).
//!
//! This binary re-executes itself as the sandbox's supervisor, so it has a `main` of its own; [`harness`] makes it
//! behave like any other test under cargo.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod attacks;
mod fixture;
mod harness;
mod helper;
mod identity;
mod isolation;
mod lifetime;
mod limits;
mod network;
mod parts;
mod privileges;
mod process;
mod program;
mod root;
mod terminal;

use std::process::ExitCode;

fn main() -> ExitCode {
    kiln_sandbox::run_child_if_asked();
    helper::run_if_asked();
    let mut tests = Vec::new();
    tests.extend(attacks::TESTS);
    tests.extend(identity::TESTS);
    tests.extend(isolation::TESTS);
    tests.extend(lifetime::TESTS);
    tests.extend(limits::TESTS);
    tests.extend(network::TESTS);
    tests.extend(parts::TESTS);
    tests.extend(privileges::TESTS);
    tests.extend(process::TESTS);
    tests.extend(root::TESTS);
    tests.extend(terminal::TESTS);
    harness::run(&tests)
}
