//! Any bytes as the packets of a client's directory: nothing panics, and nothing is written outside of the directory.

#![no_main]

use std::fs;
use std::path::Path;

use libfuzzer_sys::fuzz_target;

/// What the directory that is beside the files of a client may be called for a while: it is being removed.
const GONE: &str = "gone-";

/// Names in a directory but those of what is being removed.
fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("a directory of this input").flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(|name| !name.starts_with(GONE)).collect();
    names.sort();
    names
}

fuzz_target!(|bytes: &[u8]| {
    let around = tempfile::tempdir().expect("a directory for one input");
    let place = around.path().join("place");
    let inside = place.join("inside");
    fs::create_dir_all(&inside).expect("a directory for its files");
    fs::write(place.join("outside"), "untouched").expect("a file beside it");
    kiln_server::fuzzing::directory(bytes, &inside);
    assert_eq!(names(around.path()), ["place"], "something was written outside");
    assert_eq!(names(&place), ["inside", "outside"], "something was written outside");
    assert_eq!(fs::read(place.join("outside")).ok().as_deref(), Some(b"untouched".as_slice()));
});
