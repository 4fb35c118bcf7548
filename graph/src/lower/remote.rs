//! Sources of ADD that are not files: what is a URL and what is a git repository, and what its parts say.
//!
//! Source of the rules: BuildKit's `dfgitutil`. An HTTP URL is a repository if its path ends in `.git`; the fragment is
//! `#ref:subdir`, and a query says the same by names.

use crate::op::{Git, GitAccess, Http, Source};
use crate::path;

/// How a file is called whose URL has no name: BuildKit's choice.
const UNNAMED: &str = "__unnamed__";

/// A source that is not a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Remote {
    Http(Http),
    Git(GitAddress),
}

/// A repository as one word of ADD gives it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct GitAddress {
    pub remote: String,
    pub reference: Option<String>,
    pub subdir: Option<String>,
    pub checksum: Option<String>,
    pub keep_git_dir: Option<bool>,
    pub submodules: Option<bool>,
    pub by_commit: bool,
    pub fetch_times: bool,
}

impl GitAddress {
    /// The source, with what the flags say: they may not contradict the address.
    pub fn with_flags(self, keep_git_dir: Option<bool>, checksum: Option<&str>) -> Result<Git, String> {
        if let (Some(flag), Some(query)) = (keep_git_dir, self.keep_git_dir)
            && flag != query
        {
            return Err(format!("--keep-git-dir={flag} contradicts keep-git-dir={query} in the URL"));
        }
        if let (Some(flag), Some(query)) = (checksum, self.checksum.as_deref())
            && flag != query
        {
            return Err(format!("--checksum={flag} contradicts checksum={query} in the URL"));
        }
        let checksum = checksum.map(str::to_owned).or(self.checksum);
        if let Some(commit) = checksum.as_deref().filter(|commit| !is_commit(commit)) {
            return Err(format!("`{commit}` is not a commit: a git checksum is 7 to 64 hexadecimal digits"));
        }
        let by_commit = self.by_commit && !self.reference.as_deref().is_some_and(is_whole_commit);
        if by_commit && !checksum.as_deref().is_some_and(is_whole_commit) {
            return Err("fetch-by-commit needs a whole commit as the checksum: 40 or 64 hexadecimal digits"
                .to_owned());
        }
        Ok(Git {
            remote: self.remote,
            reference: self.reference,
            subdir: self.subdir,
            keep_git_dir: self.keep_git_dir.or(keep_git_dir).unwrap_or(false),
            submodules: self.submodules.unwrap_or(true),
            checksum,
            by_commit,
            fetch_times: self.fetch_times,
            access: GitAccess::default(),
        })
    }
}

fn is_commit(text: &str) -> bool {
    (7..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_whole_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && is_commit(text)
}

/// What a word of ADD or COPY names outside the context, if it does; an error if it is malformed.
pub(super) fn parse(word: &str) -> Result<Option<Remote>, String> {
    if word.starts_with("./") || word.starts_with("../") {
        return Ok(None);
    }
    let Some((scheme, _)) = word.split_once("://").filter(|(scheme, _)| is_scheme(scheme)) else {
        return scp_like(word).map(|git| git.map(Remote::Git));
    };
    let scheme = scheme.to_ascii_lowercase();
    match scheme.as_str() {
        "http" | "https" => {
            let (bare, _) = cut(word);
            if bare.strip_suffix(".git").is_some() {
                return git(word).map(|git| Some(Remote::Git(git)));
            }
            let filename = filename(&bare);
            Ok(Some(Remote::Http(Http { url: word.to_owned(), filename, checksum: None })))
        }
        "git" | "ssh" => git(word).map(|git| Some(Remote::Git(git))),
        _ => Ok(None),
    }
}

/// The source that a text names, as it may stand for a build context: a URL or a repository, `github.com/…` too;
/// nothing if it is a path, an error if it is malformed.
pub fn source(text: &str) -> Result<Option<Source>, String> {
    let full = if text.starts_with("github.com/") { format!("https://{text}") } else { text.to_owned() };
    if full != text {
        return git(&full)?.with_flags(None, None).map(|git| Some(Source::Git(git)));
    }
    match parse(text)? {
        None => Ok(None),
        Some(Remote::Http(http)) => Ok(Some(Source::Http(http))),
        Some(Remote::Git(address)) => address.with_flags(None, None).map(|git| Some(Source::Git(git))),
    }
}

fn is_scheme(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn scp_like(word: &str) -> Result<Option<GitAddress>, String> {
    if is_scp_like(word) { git(word).map(Some) } else { Ok(None) }
}

/// Whether a text is `user@host:path`, git's own short form of what SSH reaches.
pub fn is_scp_like(text: &str) -> bool {
    let bare = text.split(['?', '#']).next().unwrap_or(text);
    let Some((user, (host, path))) =
        bare.split_once('@').and_then(|(user, rest)| Some((user, rest.split_once(':')?)))
    else {
        return false;
    };
    let is_name = |text: &str, also: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || also.contains(c))
    };
    is_name(user, "-_") && is_name(host, "-.") && !path.is_empty() && !bare.contains("://")
}

/// What follows the path of a URL.
struct Tail {
    query: String,
    fragment: String,
}

/// A URL without query and fragment, and these.
fn cut(word: &str) -> (String, Tail) {
    let (rest, fragment) = word.split_once('#').unwrap_or((word, ""));
    let (bare, query) = rest.split_once('?').unwrap_or((rest, ""));
    (bare.to_owned(), Tail { query: query.to_owned(), fragment: fragment.to_owned() })
}

fn git(word: &str) -> Result<GitAddress, String> {
    let (remote, tail) = cut(word);
    let mut address = GitAddress { remote, ..GitAddress::default() };
    let fragment = decoded(&tail.fragment, false);
    let (reference, subdir) = fragment.split_once(':').unwrap_or((&fragment, ""));
    address.reference = Some(reference.to_owned()).filter(|reference| !reference.is_empty());
    address.subdir = beneath(subdir);
    query(&mut address, &tail.query)?;
    Ok(address)
}

fn beneath(subdir: &str) -> Option<String> {
    Some(path::beneath_root(subdir)).filter(|subdir| subdir != ".")
}

fn query(address: &mut GitAddress, query: &str) -> Result<(), String> {
    let (mut tag, mut branch) = (None, None);
    let mut seen: Vec<String> = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (key, value) = (decoded(key, true), decoded(value, true));
        if seen.contains(&key) {
            return Err(format!("query \"{key}\" has multiple values"));
        }
        if value.is_empty() && !matches!(key.as_str(), "submodules" | "keep-git-dir" | "fetch-by-commit") {
            return Err(format!("query \"{key}\" has no value"));
        }
        match key.as_str() {
            "ref" => settle("ref", &mut address.reference, value)?,
            "tag" => tag = Some(full_name("refs/tags/", &value)),
            "branch" => branch = Some(full_name("refs/heads/", &value)),
            "subdir" => {
                if let Some(subdir) = beneath(&value) {
                    settle("subdir", &mut address.subdir, subdir)?;
                }
            }
            "checksum" | "commit" => settle("checksum", &mut address.checksum, value)?,
            "keep-git-dir" => address.keep_git_dir = Some(boolean(&key, &value)?),
            "submodules" => address.submodules = Some(boolean(&key, &value)?),
            "fetch-by-commit" => address.by_commit = boolean(&key, &value)?,
            "mtime" => address.fetch_times = is_checkout(&value)?,
            _ => return Err(format!("unexpected query \"{key}\"")),
        }
        seen.push(key);
    }
    if tag.is_some() && branch.is_some() {
        return Err("branch conflicts with tag".to_owned());
    }
    match tag.or(branch) {
        Some(name) => settle("ref", &mut address.reference, name),
        None => Ok(()),
    }
}

/// Whether files are to have the time of the checkout.
fn is_checkout(value: &str) -> Result<bool, String> {
    match value {
        "checkout" => Ok(true),
        "commit" => Ok(false),
        _ => Err(format!("invalid mtime value: \"{value}\" (must be \"checkout\" or \"commit\")")),
    }
}

fn full_name(kind: &str, name: &str) -> String {
    if name.starts_with(kind) { name.to_owned() } else { format!("{kind}{name}") }
}

fn settle(what: &str, place: &mut Option<String>, value: String) -> Result<(), String> {
    match place {
        Some(known) if *known != value => Err(format!("{what} conflicts: \"{known}\" vs \"{value}\"")),
        _ => {
            *place = Some(value);
            Ok(())
        }
    }
}

/// A boolean as Go's `strconv.ParseBool` reads it; nothing written means true.
fn boolean(key: &str, value: &str) -> Result<bool, String> {
    match value {
        "" | "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(format!("invalid {key} value: \"{value}\"")),
    }
}

/// The last part of a URL's path, decoded.
fn filename(bare: &str) -> String {
    let path = bare.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map_or("", |(_, path)| path);
    let path = decoded(path, false);
    match path.trim_end_matches('/').rsplit('/').next().unwrap_or_default() {
        "" | "." | ".." => UNNAMED.to_owned(),
        name if name.contains('\0') => UNNAMED.to_owned(),
        name => name.to_owned(),
    }
}

/// A part of a URL with its percent escapes resolved.
pub fn unescaped(text: &str) -> String {
    decoded(text, false)
}

/// Percent escapes resolved; in a query a plus is a space.
fn decoded(text: &str, is_query: bool) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let escape = if byte == b'%' { after.get(..2).and_then(hexadecimal) } else { None };
        if let Some(value) = escape {
            bytes.push(value);
            rest = &after[2..];
        } else {
            bytes.push(if byte == b'+' && is_query { b' ' } else { byte });
            rest = after;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hexadecimal(digits: &[u8]) -> Option<u8> {
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn address(word: &str) -> GitAddress {
        match parse(word).unwrap() {
            Some(Remote::Git(address)) => address,
            other => panic!("{word}: {other:?}"),
        }
    }

    #[test]
    fn a_url_is_named_by_the_end_of_its_path() {
        for (url, expected) in [
            ("https://h/a/b.tar.gz", "b.tar.gz"),
            ("https://h/a/b.tar.gz?x=/y#z", "b.tar.gz"),
            ("http://h/a%20b", "a b"),
            ("http://h/a%2fb", "b"),
            ("http://h/dir/", "dir"),
            ("http://h", UNNAMED),
            ("http://h/", UNNAMED),
            ("http://h/..", UNNAMED),
            ("http://h/%2e%2e", UNNAMED),
            ("http://h/a%00b", UNNAMED),
            ("http://h/100%", "100%"),
        ] {
            let Some(Remote::Http(http)) = parse(url).unwrap() else { panic!("{url}") };
            assert_eq!(http.filename, expected, "{url}");
            assert_eq!(http.url, url);
        }
    }

    #[test]
    fn repositories_are_told_from_files() {
        for git in [
            "https://h/x.git",
            "https://h/x.git#main",
            "http://h/x.git?ref=a",
            "git://h/x",
            "ssh://git@h/x",
            "git@github.com:moby/buildkit.git",
            "me@h:x",
            "de-ploy_1@h.invalid:o/a.git#v1:a://b",
        ] {
            assert!(matches!(parse(git).unwrap(), Some(Remote::Git(_))), "{git}");
        }
        for file in [
            "x.git",
            "./https://h",
            "a@b",
            "a b@c:d",
            "@h:x",
            "file:///x.git",
            "dir/a@b:c",
            "://x",
            "a@b:",
            "a@b:c://d",
        ] {
            assert_eq!(parse(file).unwrap(), None, "{file}");
        }
    }

    #[test]
    fn fragment_and_query_say_the_same() {
        let fragment = address("https://h/x.git#v1:a/../b/");
        assert_eq!(fragment.remote, "https://h/x.git");
        assert_eq!(fragment.reference.as_deref(), Some("v1"));
        assert_eq!(fragment.subdir.as_deref(), Some("b"));
        assert_eq!(address("https://h/x.git?ref=v1&subdir=%2Fb"), fragment);
        assert_eq!(address("https://h/x.git?tag=v1").reference.as_deref(), Some("refs/tags/v1"));
        assert_eq!(address("https://h/x.git?branch=b").reference.as_deref(), Some("refs/heads/b"));
        assert_eq!(address("git@h:p/x.git#:../../etc").subdir.as_deref(), Some("etc"));
        let all = address("https://h/x.git?keep-git-dir&submodules=0&commit=0123456#r");
        assert_eq!((all.keep_git_dir, all.submodules), (Some(true), Some(false)));
        assert_eq!(all.checksum.as_deref(), Some("0123456"));
        assert!(address("https://h/x.git?mtime=checkout").fetch_times);
        assert!(!address("https://h/x.git?mtime=commit").fetch_times);
        let commit = "0123456789".repeat(4);
        let pinned = address(&format!("https://h/x.git?fetch-by-commit&commit={commit}#main"));
        let pinned = pinned.with_flags(None, None).unwrap();
        assert_eq!(
            (pinned.by_commit, pinned.checksum, pinned.reference.as_deref()),
            (true, Some(commit), Some("main"))
        );
    }

    #[test]
    fn contradictions_are_errors() {
        for (word, expected) in [
            ("https://h/x.git?ref=a#b", "ref conflicts: \"b\" vs \"a\""),
            ("https://h/x.git?ref=a&ref=a", "query \"ref\" has multiple values"),
            ("https://h/x.git?ref=", "query \"ref\" has no value"),
            ("https://h/x.git?depth=1", "unexpected query \"depth\""),
            ("https://h/x.git?tag=a&branch=b", "branch conflicts with tag"),
            ("https://h/x.git?submodules=maybe", "invalid submodules value: \"maybe\""),
            (
                "https://h/x.git?mtime=now",
                "invalid mtime value: \"now\" (must be \"checkout\" or \"commit\")",
            ),
            ("https://h/x.git?mtime=", "query \"mtime\" has no value"),
            ("https://h/x.git?fetch-by-commit=2", "invalid fetch-by-commit value: \"2\""),
        ] {
            assert_eq!(parse(word).unwrap_err(), expected);
        }
        let with = |word, keep, checksum| address(word).with_flags(keep, checksum);
        assert!(with("https://h/x.git?keep-git-dir=0", Some(true), None).is_err());
        assert!(with("https://h/x.git?checksum=0123456", None, Some("0123457")).is_err());
        assert!(with("https://h/x.git", None, Some("sha256:0")).is_err());
        assert!(with("https://h/x.git?fetch-by-commit", None, None).is_err());
        assert!(with("https://h/x.git?fetch-by-commit", None, Some("0123456")).is_err());
        assert!(with("https://h/x.git", Some(true), Some("0123456")).unwrap().keep_git_dir);
    }
}
