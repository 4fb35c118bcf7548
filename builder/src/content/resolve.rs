//! Following symlinks beneath a root that is not mounted.
//!
//! The caller says what stands at a path; nothing here touches a disk, so no link, `..` or race can
//! lead outside the tree that the caller looks into.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

/// How many symlinks one path may lead through: the kernel's own limit (`MAXSYMLINKS`).
const MAX_LINKS: usize = 40;

/// What stands at a path.
pub(crate) enum Found {
    /// A symlink to this target.
    Symlink(PathBuf),
    /// Anything else, or nothing.
    Other,
}

/// Why a path could not be followed.
#[derive(Debug)]
pub(crate) enum Unresolved<E> {
    /// Too many links.
    Loop(PathBuf),
    /// Looking failed.
    Look(E),
}

/// Follows `path` beneath the root and returns it relative to the root, free of `.`, `..` and symlinks.
///
/// What is missing is kept as it was written, so the result may name something that does not exist. The
/// last component is followed only if `follow_last`. `..` at the root stays at the root.
pub(crate) fn resolve<E>(
    path: &Path,
    follow_last: bool,
    mut look: impl FnMut(&Path) -> Result<Found, E>,
) -> Result<PathBuf, Unresolved<E>> {
    let mut pending: VecDeque<OsString> = components(path).collect();
    let mut resolved = PathBuf::new();
    let mut links = 0;
    while let Some(name) = pending.pop_front() {
        if name == ".." {
            resolved.pop();
            continue;
        }
        let candidate = resolved.join(&name);
        if pending.is_empty() && !follow_last {
            return Ok(candidate);
        }
        match look(&candidate).map_err(Unresolved::Look)? {
            Found::Other => resolved = candidate,
            Found::Symlink(target) => {
                links += 1;
                if links > MAX_LINKS {
                    return Err(Unresolved::Loop(candidate));
                }
                if target.is_absolute() {
                    resolved = PathBuf::new();
                }
                let rest = std::mem::take(&mut pending);
                pending = components(&target).chain(rest).collect();
            }
        }
    }
    Ok(resolved)
}

fn components(path: &Path) -> impl Iterator<Item = OsString> {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::convert::Infallible;

    fn follow(
        links: &[(&str, &str)],
        path: &str,
        follow_last: bool,
    ) -> Result<PathBuf, Unresolved<Infallible>> {
        resolve(Path::new(path), follow_last, |path| {
            let link = links.iter().find(|(from, _)| Path::new(from) == path);
            Ok(link.map_or(Found::Other, |(_, to)| Found::Symlink(PathBuf::from(to))))
        })
    }

    #[test]
    fn links_stay_beneath_the_root() {
        let links = [("lib", "usr/lib"), ("out", "../../../etc"), ("abs", "/srv")];
        assert_eq!(follow(&links, "/lib/x", true).unwrap(), Path::new("usr/lib/x"));
        assert_eq!(follow(&links, "out/passwd", true).unwrap(), Path::new("etc/passwd"));
        assert_eq!(follow(&links, "a/../abs/f", true).unwrap(), Path::new("srv/f"));
        assert_eq!(follow(&links, "../../x", true).unwrap(), Path::new("x"));
        assert_eq!(follow(&links, "lib", false).unwrap(), Path::new("lib"));
    }

    #[test]
    fn a_circle_is_an_error() {
        let links = [("a", "b"), ("b", "a")];
        assert!(matches!(follow(&links, "a", true), Err(Unresolved::Loop(_))));
    }
}
