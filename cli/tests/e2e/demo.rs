//! The demo itself: what `make demo` shows is true.

use crate::support::registry::base_images;
use crate::support::tool::{PATH, run, tool};
use crate::support::workspace;

#[test]
fn the_demo_works() {
    base_images();
    let mut demo = tool("bash");
    demo.arg(workspace().join("scripts/demo")).arg(env!("CARGO_BIN_EXE_kiln")).env("PATH", PATH);
    let said = run(&mut demo).ok();
    let builds: Vec<&str> = said.split("$ kiln build").skip(1).collect();
    assert_eq!(builds.len(), 3, "{said}");
    assert!(builds[0].contains("not cached"), "the first build makes everything:\n{}", builds[0]);
    assert!(!builds[1].contains("not cached"), "the second build makes nothing:\n{}", builds[1]);
    assert!(builds[2].contains("main.c changed"), "the third says what changed:\n{}", builds[2]);
    for part in ["tally 1.0 for user 900", "kiln push", "byte for byte", "19 the"] {
        assert!(said.contains(part), "`{part}` is not in:\n{said}");
    }
}
