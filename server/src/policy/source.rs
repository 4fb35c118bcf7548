//! Sources as clients write them, which is how policies speak of them. Pure.

use std::collections::HashMap;

use kiln_graph::op::{Git, Http, Source};
use kiln_graph::{from_root, is_scp_like, redact, unescaped};
use kiln_registry::{Reference, plain_url};

use crate::api::pb::SourceOp;

/// The scheme of images, and that of images in clients' layouts.
pub(crate) const IMAGE: &str = "docker-image://";
pub(crate) const LAYOUT: &str = "oci-layout://";

const GIT: &str = "git://";

/// The attribute that says where a repository is fetched from.
pub(super) const GIT_URL: &str = "git.fullurl";

/// `docker.io/library/debian:12`, with its digest if it has one.
pub(crate) fn full_name(reference: &Reference) -> String {
    let tag = reference.tag().map(|tag| format!(":{tag}")).unwrap_or_default();
    let digest = reference.digest().map(|digest| format!("@{digest}")).unwrap_or_default();
    format!("{}{tag}{digest}", reference.name())
}

/// An image that is named so.
pub(crate) fn image(reference: &str) -> SourceOp {
    let identifier = format!("{IMAGE}{reference}");
    normal(&SourceOp { identifier, attrs: HashMap::new() })
}

/// A directory of the client's.
pub(crate) fn local(name: &str) -> SourceOp {
    SourceOp { identifier: format!("local://{name}"), attrs: HashMap::new() }
}

/// A file or a repository as clients write it; nothing for other sources, which have no name in what is made of them.
pub(crate) fn remote(source: &Source) -> Option<SourceOp> {
    match source {
        Source::Http(Http { url, filename, checksum }) => {
            let filename = ("http.filename".to_owned(), filename.clone());
            let checksum = checksum.iter().map(|checksum| ("http.checksum".to_owned(), checksum.clone()));
            let attrs = checksum.chain([filename]).collect();
            Some(SourceOp { identifier: url.clone(), attrs })
        }
        Source::Git(git) => Some(repository(git)),
        Source::Scratch | Source::Image { .. } | Source::Layout { .. } | Source::Context { .. } => None,
    }
}

fn repository(git: &Git) -> SourceOp {
    let Git { remote, reference, subdir, keep_git_dir, submodules, checksum, by_commit, fetch_times, access } =
        git;
    let fragment = match (reference.as_deref(), subdir) {
        (None, None) => String::new(),
        (reference, None) => format!("#{}", reference.unwrap_or_default()),
        (reference, Some(subdir)) => format!("#{}:{subdir}", reference.unwrap_or_default()),
    };
    let identifier = format!("{GIT}{}{fragment}", place(remote));
    let set = |is_set: bool| if is_set { "true" } else { "" };
    let is_ssh = remote.starts_with("ssh://") || !remote.contains("://");
    let attrs = [
        (GIT_URL, remote.as_str()),
        ("git.keepgitdir", set(*keep_git_dir)),
        ("git.skipsubmodules", set(!submodules)),
        ("git.checksum", checksum.as_deref().unwrap_or_default()),
        ("git.fetchbycommit", set(*by_commit)),
        ("git.mtime", if *fetch_times { "" } else { "commit" }),
        ("git.authtokensecret", &access.token),
        ("git.authheadersecret", &access.header),
        ("git.mountsshsock", if is_ssh { &access.agent } else { "" }),
        ("git.knownsshhosts", access.known_hosts.as_deref().unwrap_or_default()),
    ];
    let attrs = attrs.into_iter().filter(|(_, value)| !value.is_empty());
    let attrs = attrs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    SourceOp { identifier, attrs }
}

/// `host/path` of a repository, which is the same however it is reached.
fn place(remote: &str) -> String {
    let (host, path) = if let Some((_, rest)) = remote.split_once("://") {
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        (host, unescaped(path))
    } else {
        // git's own short form.
        let (host, path) = remote.split_once(':').unwrap_or((remote, ""));
        (host, path.to_owned())
    };
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    // What else would end the path, or be another text when it is read again.
    let path = from_root(&path).replace('%', "%25").replace('#', "%23").replace('?', "%3F");
    format!("{host}{path}")
}

/// Why a file or a repository is not judged by its name: what is fetched has another one. Servers are reached under names that are
/// written in several ways, and rules speak of one.
pub(super) fn misleading(identifier: &str) -> Option<String> {
    if let Some(repository) = repository_of(identifier) {
        let host = repository.split('/').next().unwrap_or(repository);
        let is_plain =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._:[]".contains(&byte);
        let is_plain = !host.is_empty() && host.bytes().all(is_plain) && !is_rooted(host);
        return (!is_plain).then(|| {
            let meant = "in lower case, with letters, digits, `-`, `_` and `.` alone, and no `.` at its end";
            format!("its host {host:?} is to be written {meant}")
        });
    }
    let asked =
        plain_url(identifier).filter(|url| url.starts_with("http://") || url.starts_with("https://"))?;
    let (written, read) = (UrlParts::of(identifier), UrlParts::of(&asked));
    if is_rooted(read.host()) {
        return Some("its host is to be written without a `.` at its end".to_owned());
    }
    (written != read).then(|| format!("what is asked for is to be written {}", redact(&asked)))
}

/// Whether a host is written with the root of all names, which is the same host.
fn is_rooted(host: &str) -> bool {
    host.split(':').next().is_some_and(|name| name.ends_with('.'))
}

/// What of a URL says where a file is.
#[derive(Debug, PartialEq, Eq)]
struct UrlParts<'t> {
    scheme: &'t str,
    authority: &'t str,
    path: String,
}

impl<'t> UrlParts<'t> {
    fn of(url: &'t str) -> Self {
        let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
        let (authority, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let path = rest.split(['?', '#']).next().unwrap_or_default();
        // Escapes differ in what has to be escaped alone.
        Self { scheme, authority, path: unescaped(if path.is_empty() { "/" } else { path }) }
    }

    fn host(&self) -> &'t str {
        self.authority.rsplit('@').next().unwrap_or(self.authority)
    }
}

/// The repository of an identifier, if it is one's.
pub(super) fn repository_of(identifier: &str) -> Option<&str> {
    let rest = identifier.strip_prefix(GIT)?;
    Some(rest.split_once('#').map_or(rest, |(repository, _)| repository))
}

/// The same source under the one name that all ways to write it have: that of an image in full, that of a repository by what is
/// fetched.
pub(super) fn normal(source: &SourceOp) -> SourceOp {
    let mut source = source.clone();
    if let Some(reference) = source.identifier.strip_prefix(IMAGE) {
        if let Ok(reference) = Reference::parse(reference) {
            source.identifier = format!("{IMAGE}{}", full_name(&reference));
        }
    } else if let Some(repository) = repository_of(&source.identifier) {
        let fragment = &source.identifier[GIT.len() + repository.len()..];
        let url = source.attrs.get(GIT_URL).filter(|url| !url.is_empty()).map(String::as_str);
        let fetched = url.unwrap_or(repository);
        let is_whole = fetched.contains("://") || is_scp_like(fetched);
        let fetched = if is_whole { place(fetched) } else { place(&format!("https://{fetched}")) };
        source.identifier = format!("{GIT}{fetched}{fragment}");
    }
    source
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn sources_are_named_as_clients_name_them() {
        for (url, expected) in [
            ("https://u:p@h.example/a.git#v1:sub", "git://h.example/a.git#v1:sub"),
            ("https://h.example/a.git", "git://h.example/a.git"),
            ("https://h.example/x/../a.git", "git://h.example/a.git"),
            ("git@h.example:o/a.git", "git://h.example/o/a.git"),
            ("deploy@h.example:o/a.git", "git://h.example/o/a.git"),
            ("deploy@h.example:%6f/a.git", "git://h.example/%256f/a.git"),
            ("https://h.example/%6F/a%2egit/x.git", "git://h.example/o/a.git/x.git"),
            ("https://h.example/x%2f%2e%2E/a%23%3f%25.git", "git://h.example/a%23%3F%25.git"),
            ("ssh://git@h.example:22/a.git", "git://h.example:22/a.git"),
            ("https://h.example/a.tar", "https://h.example/a.tar"),
        ] {
            let source = kiln_graph::remote_source(url).unwrap().unwrap();
            let op = remote(&source).unwrap();
            assert_eq!(op.identifier, expected);
            assert_eq!(normal(&op), op);
        }
        assert_eq!(image("busybox").identifier, "docker-image://docker.io/library/busybox:latest");
        assert_eq!(local("context").identifier, "local://context");
    }

    #[test]
    fn each_way_to_write_a_source_has_the_same_name() {
        let of = |identifier: &str, url: &str| {
            let attrs = HashMap::from([(GIT_URL.to_owned(), url.to_owned())]);
            normal(&SourceOp { identifier: identifier.to_owned(), attrs }).identifier
        };
        for (identifier, url, expected) in [
            ("docker-image://alpine", "", "docker-image://docker.io/library/alpine:latest"),
            ("docker-image://index.docker.io/alpine", "", "docker-image://docker.io/library/alpine:latest"),
            ("docker-image://A", "", "docker-image://A"),
            ("git://h.example/a//b.git#r:s", "", "git://h.example/a/b.git#r:s"),
            ("git://https://h.example/a.git#r", "", "git://h.example/a.git#r"),
            ("git://said.example/a.git#r", "https://fetched.example/b.git", "git://fetched.example/b.git#r"),
            ("git://x#r", "git@h.example:a.git", "git://h.example/a.git#r"),
            ("git://x#r", "deploy@h.example:o/a.git", "git://h.example/o/a.git#r"),
            ("git://deploy@h.example:o/a.git", "", "git://h.example/o/a.git"),
            ("git://h.example/%6f/a.git", "", "git://h.example/o/a.git"),
            ("git://h.example/%256f/a.git", "", "git://h.example/%256f/a.git"),
            ("local://a", "", "local://a"),
        ] {
            assert_eq!(of(identifier, url), expected, "{identifier} {url}");
        }
    }

    #[test]
    fn what_is_fetched_under_another_name_is_not_judged() {
        for plain in [
            "http://127.0.0.1:18999/x",
            "https://h.example",
            "https://h.example?q=a b",
            "https://u:p@h.example/a%20b/c d/é/{x}?a=../b#/../c",
            "https://h.example/100%/..a/%zz",
            "http://[::1]:8080/x",
            "git://h.example/A.git#R",
            "git://h.example:22/a.git",
            "git://[::1]/a.git",
            "docker-image://H/../x",
            "local://HTTP://x",
        ] {
            assert_eq!(misleading(plain), None, "{plain}");
        }
        for (odd, meant) in [
            ("HTTP://127.0.0.1:18999/x", "http://127.0.0.1:18999/x"),
            ("http:///127.0.0.1:18999/x", "http://127.0.0.1:18999/x"),
            ("http://\\127.0.0.1/x", "http://127.0.0.1/x"),
            ("https://H.example/x", "https://h.example/x"),
            ("https://%68.example/x", "https://h.example/x"),
            ("http://2130706433/x", "http://127.0.0.1/x"),
            ("http://h.example:80/x", "http://h.example/x"),
            ("https://h.example/a/../x", "https://h.example/x"),
            ("https://h.example/a/%2e%2E/x", "https://h.example/x"),
            ("https://h.example/a\\..\\x", "https://h.example/x"),
            ("https://h.example/./x", "https://h.example/x"),
            ("https://h.example/x ", "https://h.example/x"),
            ("https://h.example./x", "without a `.`"),
            ("https://h.example.:8443/x", "without a `.`"),
            ("git:///h.example/a.git", "lower case"),
            ("git://H.example/a.git", "lower case"),
            ("git://%68.example/a.git", "lower case"),
            ("git://h.example\\/a.git", "lower case"),
            ("git://h.example./a.git", "no `.` at its end"),
        ] {
            let said = misleading(odd);
            assert!(said.as_deref().is_some_and(|said| said.contains(meant)), "{odd}: {said:?}");
        }
        let said = misleading("HTTPS://u:secret@h.example/x").unwrap();
        assert!(!said.contains("secret"), "{said}");
    }
}
