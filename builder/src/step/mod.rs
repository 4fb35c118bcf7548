//! Executing steps: commands in the sandbox, file changes without one.

pub(crate) mod diff;
pub(crate) mod exec;
pub(crate) mod file;
pub(crate) mod mounts;
pub(crate) mod user;

use std::collections::HashSet;
use std::path::PathBuf;

/// A chain's trees (bottom first) as an overlay's lower directories: the topmost first, each once.
///
/// A layer may stand in a chain twice (two steps that change nothing make the same one), and the kernel refuses a
/// directory that is given twice. The upper of the two decides alone: whatever the lower one holds, or hides, the upper
/// one holds or hides as well, and closer to the top.
pub(crate) fn lower_directories(trees: Vec<PathBuf>) -> Vec<PathBuf> {
    let mut seen = HashSet::new();
    trees.into_iter().rev().filter(|tree| seen.insert(tree.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_layer_keeps_its_upper_place() {
        let paths = |names: &[&str]| names.iter().map(PathBuf::from).collect::<Vec<_>>();
        assert_eq!(
            lower_directories(paths(&["base", "empty", "a", "empty"])),
            paths(&["empty", "a", "base"])
        );
    }
}
