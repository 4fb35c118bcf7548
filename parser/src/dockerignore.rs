//! `.dockerignore` text to patterns, cleaned as Docker cleans them.
//!
//! What a pattern matches is the graph's business; reading the file is the caller's. Source of the rules: the
//! Dockerfile reference, and the path cleaning of Go's `filepath.Clean` that it refers to.

/// One pattern of a `.dockerignore` file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IgnoreLine {
    /// The pattern: cleaned, without leading `/`, a `!` kept in front.
    pub pattern: String,
    /// The line it stands on, from 1.
    pub line: u32,
}

/// The patterns of `text`, in order; comments and empty lines are left out. A `!` with nothing behind it is
/// kept, so that whoever compiles the patterns can refuse it.
pub fn parse(text: &str) -> Vec<IgnoreLine> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let numbered = (1..).zip(text.lines());
    numbered.filter_map(|(line, text)| pattern(text).map(|pattern| IgnoreLine { pattern, line })).collect()
}

/// A `#` makes a comment only as the very first character.
fn pattern(line: &str) -> Option<String> {
    let trimmed = line.trim();
    if line.starts_with('#') || trimmed.is_empty() {
        return None;
    }
    let (negation, path) = match trimmed.strip_prefix('!') {
        Some(path) => ("!", path.trim()),
        None => ("", trimmed),
    };
    Some(format!("{negation}{}", cleaned(path)))
}

/// The shortest equal path, relative to the context.
fn cleaned(path: &str) -> String {
    if path.is_empty() {
        return String::new();
    }
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            _ => parts.push(part),
        }
    }
    match (parts.is_empty(), rooted) {
        (false, _) => parts.join("/"),
        (true, true) => "/".to_owned(),
        (true, false) => ".".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{IgnoreLine, parse};

    fn one(line: &str) -> Option<String> {
        parse(line).into_iter().next().map(|line| line.pattern)
    }

    #[test]
    fn patterns_are_cleaned() {
        let cases = [
            ("a", "a"),
            ("  a b  ", "a b"),
            ("/a", "a"),
            ("///a//b/", "a/b"),
            ("./a", "a"),
            ("a/./b", "a/b"),
            ("a/../b", "b"),
            ("a/b/../../c", "c"),
            ("../a", "../a"),
            ("a/../../b", "../b"),
            ("/../a", "a"),
            ("a/", "a"),
            (".", "."),
            ("a/..", "."),
            ("/", "/"),
            ("**/*.o", "**/*.o"),
            ("a**", "a**"),
            ("!a", "!a"),
            ("!  /a/ ", "!a"),
            ("!", "!"),
            ("!!a", "!!a"),
            ("\\#a", "\\#a"),
            (" # a", "# a"),
            ("a # b", "a # b"),
            ("[a-z]?", "[a-z]?"),
        ];
        for (line, expected) in cases {
            assert_eq!(one(line).as_deref(), Some(expected), "{line:?}");
        }
    }

    #[test]
    fn comments_and_blank_lines_are_left_out_but_counted() {
        let found = parse("\u{feff}# first\n\n  \t\na\r\n#b\n!c");
        let expected = [("a", 4), ("!c", 6)];
        let expected = expected.map(|(pattern, line)| IgnoreLine { pattern: pattern.to_owned(), line });
        assert_eq!(found, expected);
        assert_eq!(parse(""), []);
    }

    #[test]
    fn only_the_first_line_loses_a_byte_order_mark() {
        assert_eq!(one("\u{feff}a").as_deref(), Some("a"));
        assert_eq!(parse("a\n\u{feff}b")[1].pattern, "\u{feff}b");
    }
}
