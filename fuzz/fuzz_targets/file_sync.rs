//! Any bytes as the packets of a client's directory: nothing panics, and nothing is written outside of the directory.

#![no_main]

use std::fs;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let around = tempfile::tempdir().expect("a directory for one input");
    let inside = around.path().join("inside");
    fs::create_dir(&inside).expect("a directory for its files");
    fs::write(around.path().join("outside"), "untouched").expect("a file beside it");
    kiln_server::fuzzing::directory(bytes, &inside);
    assert_eq!(
        fs::read_dir(around.path()).map(Iterator::count).ok(),
        Some(2),
        "something was written outside"
    );
    assert_eq!(fs::read(around.path().join("outside")).ok().as_deref(), Some(b"untouched".as_slice()));
});
