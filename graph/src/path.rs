//! Slash-separated paths as text: cleaned and joined without looking at any file system.
//!
//! Source of the rules: Go's `path.Clean` and `path.Join`, which Docker's tools apply to what users write.

/// `path` without `.`, `..` and double slashes as far as that can be done in text; `.` when nothing is left.
pub(crate) fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    match (rooted, parts.join("/")) {
        (true, rest) => format!("/{rest}"),
        (false, rest) if rest.is_empty() => ".".to_owned(),
        (false, rest) => rest,
    }
}

/// `path` as seen from the absolute directory `directory`, cleaned: always absolute.
pub(crate) fn resolve(directory: &str, path: &str) -> String {
    if path.starts_with('/') { clean(path) } else { clean(&format!("/{directory}/{path}")) }
}

/// `path` taken from the root and cleaned, so that it cannot leave the root: always absolute.
pub fn from_root(path: &str) -> String {
    resolve("/", path)
}

/// `path` taken from the root, cleaned and without its leading slash, so that it cannot leave the root; `.` is
/// the root itself.
pub(crate) fn beneath_root(path: &str) -> String {
    match from_root(path).trim_start_matches('/') {
        "" => ".".to_owned(),
        path => path.to_owned(),
    }
}

/// Whether `path` says by itself that it is a directory.
pub(crate) fn names_directory(path: &str) -> bool {
    matches!(path, "" | "." | "..") || path.ends_with('/') || path.ends_with("/.") || path.ends_with("/..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clean_is_go_s_clean() {
        for (path, expected) in [
            ("", "."),
            ("a/../..", ".."),
            ("a//b/./c/", "a/b/c"),
            ("/../a", "/a"),
            ("/", "/"),
            ("//", "/"),
            ("../../a", "../../a"),
            ("./a", "a"),
            ("a/..", "."),
            ("/a/b/../../..", "/"),
        ] {
            assert_eq!(clean(path), expected, "{path}");
        }
    }

    #[test]
    fn resolve_joins_only_relative_paths() {
        assert_eq!(resolve("/app", "src/"), "/app/src");
        assert_eq!(resolve("/app", "/src"), "/src");
        assert_eq!(resolve("/app", "../../.."), "/");
        assert_eq!(resolve("", "x"), "/x");
    }

    #[test]
    fn nothing_leaves_the_root() {
        for (path, expected) in
            [("../../etc", "etc"), ("/a/../../b", "b"), (".", "."), ("/", "."), ("", "."), ("a/*", "a/*")]
        {
            assert_eq!(beneath_root(path), expected, "{path}");
            assert_eq!(from_root(path).trim_start_matches('/'), expected.trim_matches('.'), "{path}");
        }
    }

    #[test]
    fn directories_are_seen_from_their_end() {
        for (path, expected) in
            [("a/", true), ("a", false), (".", true), ("", true), ("a/.", true), ("a.", false), ("..", true)]
        {
            assert_eq!(names_directory(path), expected, "{path}");
        }
    }
}
