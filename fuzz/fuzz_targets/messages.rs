//! Any bytes as the messages and graphs of a client: nothing panics.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| kiln_server::fuzzing::messages(bytes));
