//! Any text as a Dockerfile: nothing panics, every byte is in one item of the tree, every place is in the text, and what
//! is said about a file is not out of proportion to it.

#![no_main]

use kiln_parser::comments::Comments;
use kiln_parser::{Diagnostic, check, parse, render, syntax};
use libfuzzer_sys::fuzz_target;

/// How many diagnostics are rendered: each shows lines of the file, so that all of them could cost a square.
const RENDERED: usize = 16;

fuzz_target!(|source: &str| {
    let parsed = parse(source);
    assert!(parsed.has_errors() || !parsed.dockerfile.stages.is_empty(), "neither a stage nor an error");
    tree_is_whole(source);
    for diagnostic in &parsed.diagnostics {
        assert!(source.get(diagnostic.span.range()).is_some(), "{diagnostic:?} is outside of the text");
    }
    let count = parsed.diagnostics.len();
    assert!(count <= 2 * source.len() + 8, "{count} diagnostics for {} bytes", source.len());
    let said: usize = parsed.diagnostics.iter().map(said).sum();
    assert!(said <= 8 * source.len() + 1024 * count, "{said} bytes are said about {}", source.len());
    let shown = render(&parsed.diagnostics[..count.min(RENDERED)], source, "Dockerfile", false);
    let most = RENDERED * (16 * source.len() + 16 * 1024);
    assert!(shown.len() <= most, "{} bytes are shown for {}", shown.len(), source.len());
    check::advice(source, &parsed.dockerfile, None);
    Comments::new(source);
});

/// The items of the tree, one after the other, are the text.
fn tree_is_whole(source: &str) {
    let tree = syntax::tree(source);
    let mut at = 0;
    for item in &tree.items {
        assert_eq!(item.extent().start, at, "a gap or an overlap in the tree");
        at = item.extent().end;
    }
    assert_eq!(at, source.len(), "the tree ends before the text");
}

/// How much a diagnostic says.
fn said(diagnostic: &Diagnostic) -> usize {
    let help = diagnostic.help.as_ref().map_or(0, String::len);
    let notes: usize = diagnostic.notes.iter().map(String::len).sum();
    diagnostic.message.len() + diagnostic.label.len() + help + notes
}
