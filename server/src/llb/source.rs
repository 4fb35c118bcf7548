//! Source operations: images, directories at the client, repositories, files of web servers.

use std::collections::BTreeMap;

use kiln_graph::op::{
    FileAction, FileOp, Git, GitAccess, Http, LayoutImage, ModeChange, Op, Owner, Source, Transfer, Wildcards,
};
use kiln_graph::{VertexId, redact};

use super::LlbError;
use super::definition::digest;
use super::inputs::is_broken;
use super::lower::{About, Local, Lowering};
use crate::api::pb;

/// The attributes that are understood, by the schemes of the identifiers they go with.
const IMAGE: &[&str] = &[RESOLVE_MODE, "image.recordtype", "image.checksum"];
const LOCAL: &[&str] = &[
    LOCAL_SESSION,
    "local.unique",
    LOCAL_INCLUDE,
    LOCAL_FOLLOW,
    LOCAL_EXCLUDE,
    LOCAL_HINT,
    // Which files are sent again is decided here.
    "local.differ",
];
const GIT: &[&str] = &[
    GIT_KEEP,
    GIT_URL,
    GIT_CHECKSUM,
    GIT_SKIP_SUBMODULES,
    GIT_TIMES,
    GIT_BY_COMMIT,
    GIT_TOKEN,
    GIT_HEADER,
    GIT_KNOWN_HOSTS,
    GIT_AGENT,
];
const LAYOUT: &[&str] = &[LAYOUT_SESSION, LAYOUT_STORE];
const HTTP: &[&str] = &[HTTP_CHECKSUM, HTTP_FILENAME, HTTP_MODE, HTTP_USER, HTTP_GROUP];

const RESOLVE_MODE: &str = "image.resolvemode";
const LOCAL_SESSION: &str = "local.session";
const LOCAL_INCLUDE: &str = "local.includepattern";
const LOCAL_FOLLOW: &str = "local.followpaths";
const LOCAL_EXCLUDE: &str = "local.excludepatterns";
const LOCAL_HINT: &str = "local.sharedkeyhint";
const GIT_KEEP: &str = "git.keepgitdir";
const GIT_URL: &str = "git.fullurl";
const GIT_CHECKSUM: &str = "git.checksum";
const GIT_SKIP_SUBMODULES: &str = "git.skipsubmodules";
const GIT_TIMES: &str = "git.mtime";
const GIT_BY_COMMIT: &str = "git.fetchbycommit";
const GIT_TOKEN: &str = "git.authtokensecret";
const GIT_HEADER: &str = "git.authheadersecret";
const GIT_KNOWN_HOSTS: &str = "git.knownsshhosts";
const GIT_AGENT: &str = "git.mountsshsock";
/// How repositories are reached.
const GIT_SCHEMES: [&str; 4] = ["https", "http", "ssh", "git"];

const LAYOUT_SESSION: &str = "oci.session";
const LAYOUT_STORE: &str = "oci.store";
const HTTP_CHECKSUM: &str = "http.checksum";
const HTTP_FILENAME: &str = "http.filename";
const HTTP_MODE: &str = "http.perm";
const HTTP_USER: &str = "http.uid";
const HTTP_GROUP: &str = "http.gid";

/// Lowers a source operation.
pub(super) fn lower(
    lowering: &mut Lowering,
    about: &About<'_>,
    op: &pb::SourceOp,
) -> Result<VertexId, LlbError> {
    let (source, name) = source(lowering, about, op)?;
    let Source::Http(Http { filename, .. }) = &source else {
        return lowering.add(about, about.vertex(Op::Source(source), Vec::new(), name));
    };
    let change = other_access(&Attributes { about, op }, filename)?;
    let file = lowering.add(about, about.vertex(Op::Source(source), Vec::new(), name.clone()))?;
    let Some(change) = change else { return Ok(file) };
    let change = Op::File(FileOp { actions: vec![change], link: false });
    let scratch = lowering.scratch();
    lowering.add(about, about.vertex(change, vec![scratch, file], name))
}

/// What gives a downloaded file the mode and the owner that the client says, if it says any: it has usual ones when it comes.
fn other_access(attributes: &Attributes<'_>, filename: &str) -> Result<Option<FileAction>, LlbError> {
    let (mode, user) = (attributes.number(HTTP_MODE)?, attributes.number(HTTP_USER)?);
    let group = attributes.number(HTTP_GROUP)?;
    if (mode, user, group) == (None, None, None) {
        return Ok(None);
    }
    if mode.is_some_and(|mode| mode > 0o7777) {
        return Err(attributes.about.wrong(HTTP_MODE, "these are no permissions"));
    }
    let id = |id: Option<u32>| id.unwrap_or_default().to_string();
    Ok(Some(FileAction::Transfer(Transfer {
        input: 1,
        source: format!("/{filename}"),
        destination: format!("/{filename}"),
        owner: Some(Owner { user: id(user), group: Some(id(group)) }),
        mode: mode.map(ModeChange::Set),
        time: None,
        wildcards: Wildcards::None,
        follow: false,
        contents: false,
        make_parents: false,
        replace: false,
        include: Vec::new(),
        exclude: Vec::new(),
    })))
}

/// What the operation stands for, and how it is shown.
fn source(
    lowering: &mut Lowering,
    about: &About<'_>,
    op: &pb::SourceOp,
) -> Result<(Source, String), LlbError> {
    let identifier = op.identifier.as_str();
    let Some((scheme, rest)) = identifier.split_once("://") else {
        return Err(about.wrong("identifier", format!("`{identifier}` has no scheme")));
    };
    let attributes = Attributes { about, op };
    match scheme {
        "docker-image" => {
            attributes.only(IMAGE)?;
            lowering.pulls |= attributes.get(RESOLVE_MODE) == Some("pull");
            Ok((image(about, rest, attributes.get("image.checksum"))?, identifier.to_owned()))
        }
        "local" => {
            attributes.only(LOCAL)?;
            local(lowering, &attributes, rest)
        }
        "git" => {
            attributes.only(GIT)?;
            let git = git(&attributes, rest)?;
            let shown = redact(&git.remote);
            Ok((Source::Git(git), shown))
        }
        "http" | "https" => {
            attributes.only(HTTP)?;
            let http = http(&attributes, identifier)?;
            Ok((Source::Http(http), redact(identifier)))
        }
        "oci-layout" => {
            attributes.only(LAYOUT)?;
            let layout = client_layout(op).ok_or_else(|| {
                about.wrong("identifier", format!("`{identifier}` is not oci-layout://NAME@DIGEST"))
            })?;
            let directory = lowering.layouts.get(&layout).cloned();
            let directory =
                directory.ok_or_else(|| about.wrong("identifier", "the layout was not copied"))?;
            let image = LayoutImage { directory, tag: None, digest: Some(layout.digest) };
            Ok((Source::Layout { image, platform: about.platform.clone() }, identifier.to_owned()))
        }
        other => Err(about.unsupported("identifier", format!("the scheme `{other}` is not known"))),
    }
}

/// An image in a content store of a client's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ClientLayout {
    /// What the client calls the store.
    pub(crate) store: String,
    /// The session that has it, if it is another than the build's.
    pub(crate) session: Option<String>,
    /// The digest of the image's manifest or index.
    pub(crate) digest: String,
}

/// The image of a layout that a source operation names, if it names one.
pub(super) fn client_layout(op: &pb::SourceOp) -> Option<ClientLayout> {
    let (name, digest) = op.identifier.strip_prefix("oci-layout://")?.rsplit_once('@')?;
    let given = |name: &str| op.attrs.get(name).filter(|value| !value.is_empty()).cloned();
    let last = name.rsplit('/').next().unwrap_or(name);
    let named = || last.split(':').next().unwrap_or(last).to_owned();
    let store = given(LAYOUT_STORE).unwrap_or_else(named);
    Some(ClientLayout { store, session: given(LAYOUT_SESSION), digest: digest.to_owned() })
}

fn image(about: &About<'_>, reference: &str, checksum: Option<&str>) -> Result<Source, LlbError> {
    if reference.is_empty() {
        return Err(about.wrong("identifier", "it names no image"));
    }
    if is_broken(reference) {
        let detail =
            format!("`{reference}` is no result of a build: its name ends with 64 hexadecimal digits");
        return Err(about.wrong("identifier", detail));
    }
    let reference = match checksum {
        Some(digest) if !reference.contains('@') => format!("{reference}@{digest}"),
        _ => reference.to_owned(),
    };
    Ok(Source::Image { reference, platform: about.platform.clone(), digest: None })
}

fn local(
    lowering: &mut Lowering,
    attributes: &Attributes<'_>,
    name: &str,
) -> Result<(Source, String), LlbError> {
    if name.is_empty() {
        return Err(attributes.about.wrong("identifier", "it names no directory"));
    }
    // A session may be given as `NAME:ID`.
    let session = attributes.get(LOCAL_SESSION).filter(|session| !session.is_empty());
    let mut local = Local {
        name: name.to_owned(),
        place: String::new(),
        session: session.map(|session| session.rsplit(':').next().unwrap_or(session).to_owned()),
        include: attributes.list(LOCAL_INCLUDE)?,
        exclude: attributes.list(LOCAL_EXCLUDE)?,
        follow: attributes.list(LOCAL_FOLLOW)?,
        hint: attributes.get(LOCAL_HINT).unwrap_or_default().to_owned(),
    };
    // Other patterns make another directory, whoever has it.
    let told = format!("{:?}", (&local.include, &local.exclude, &local.follow, &local.hint));
    local.place = format!("{name} {}", digest(told.as_bytes()).trim_start_matches("sha256:"));
    let context = lowering.context(local);
    // What is left out is not sent, so nothing is left to ignore.
    Ok((Source::Context { name: context, ignore: Vec::new() }, format!("local://{name}")))
}

fn git(attributes: &Attributes<'_>, rest: &str) -> Result<Git, LlbError> {
    let (remote, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    let (reference, subdir) = fragment.split_once(':').unwrap_or((fragment, ""));
    let remote = attributes.get(GIT_URL).filter(|url| !url.is_empty()).unwrap_or(remote);
    if remote.is_empty() {
        return Err(attributes.about.wrong("identifier", "it names no repository"));
    }
    let remote = match remote.split_once("://") {
        Some((scheme, _)) if GIT_SCHEMES.iter().any(|known| scheme.eq_ignore_ascii_case(known)) => {
            remote.to_owned()
        }
        // Repositories of the daemon's machine are none of its clients' business.
        Some((scheme, _)) => {
            let known = GIT_SCHEMES.join(", ");
            return Err(attributes.about.wrong("identifier", format!("`{scheme}` is none of {known}")));
        }
        None if kiln_graph::is_scp_like(remote) => remote.to_owned(),
        None => format!("https://{remote}"),
    };
    let subdir = subdir.trim_matches('/');
    if subdir.split('/').any(|part| part == "..") {
        return Err(attributes.about.wrong("identifier", format!("`{subdir}` leads out of the repository")));
    }
    let fetch_times = match attributes.get(GIT_TIMES) {
        None | Some("" | "checkout") => true,
        Some("commit") => false,
        Some(other) => {
            let detail = format!("`{other}` is neither checkout nor commit");
            return Err(attributes.about.wrong(GIT_TIMES, detail));
        }
    };
    let some = |text: &str| Some(text).filter(|text| !text.is_empty()).map(str::to_owned);
    let checksum = attributes.get(GIT_CHECKSUM).and_then(some);
    Ok(Git {
        remote,
        reference: some(reference),
        subdir: some(subdir),
        keep_git_dir: attributes.is_set(GIT_KEEP),
        submodules: !attributes.is_set(GIT_SKIP_SUBMODULES),
        by_commit: attributes.is_set(GIT_BY_COMMIT) && checksum.as_ref().is_some_and(|sum| sum.len() >= 40),
        checksum,
        fetch_times,
        access: access(attributes),
    })
}

/// What a client does not name is not used: its library names what is usual.
fn access(attributes: &Attributes<'_>) -> GitAccess {
    let text = |name: &str| attributes.get(name).unwrap_or_default().to_owned();
    GitAccess {
        token: text(GIT_TOKEN),
        header: text(GIT_HEADER),
        agent: text(GIT_AGENT),
        known_hosts: Some(text(GIT_KNOWN_HOSTS)).filter(|keys| !keys.is_empty()),
    }
}

fn http(attributes: &Attributes<'_>, url: &str) -> Result<Http, LlbError> {
    let named = attributes.get(HTTP_FILENAME).filter(|name| !name.is_empty());
    let path = url.split(['?', '#']).next().unwrap_or(url);
    let path = path.split_once("://").map_or(path, |(_, rest)| rest);
    let last = path.split_once('/').and_then(|(_, path)| path.rsplit('/').next());
    let filename = named.or(last).filter(|name| !name.is_empty()).unwrap_or("download");
    if filename.contains(['/', '\0']) || matches!(filename, "." | "..") {
        return Err(attributes.about.wrong(HTTP_FILENAME, format!("`{filename}` is not the name of a file")));
    }
    let checksum = attributes.get(HTTP_CHECKSUM).filter(|sum| !sum.is_empty()).map(str::to_owned);
    if let Some(sum) = checksum.as_ref().filter(|sum| !sum.starts_with("sha256:")) {
        return Err(attributes.about.unsupported(HTTP_CHECKSUM, format!("`{sum}` is not a SHA-256 digest")));
    }
    Ok(Http { url: url.to_owned(), filename: filename.to_owned(), checksum })
}

/// The attributes of a source operation.
struct Attributes<'a> {
    about: &'a About<'a>,
    op: &'a pb::SourceOp,
}

impl Attributes<'_> {
    /// One that is not among these would be ignored.
    fn only(&self, known: &[&str]) -> Result<(), LlbError> {
        let sorted: BTreeMap<_, _> = self.op.attrs.iter().collect();
        match sorted.into_keys().find(|name| !known.contains(&name.as_str())) {
            Some(name) => Err(self.about.unsupported(name.as_str(), "the attribute is not known")),
            None => Ok(()),
        }
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.op.attrs.get(name).map(String::as_str)
    }

    fn is_set(&self, name: &str) -> bool {
        self.get(name) == Some("true")
    }

    /// A number as Go's programs write them: octal after a zero.
    fn number(&self, name: &str) -> Result<Option<u32>, LlbError> {
        let Some(text) = self.get(name).filter(|text| !text.is_empty()) else { return Ok(None) };
        let parsed = match text.strip_prefix("0o").or_else(|| text.strip_prefix('0')) {
            Some(octal) if !octal.is_empty() => u32::from_str_radix(octal, 8),
            _ => text.parse(),
        };
        parsed.map(Some).map_err(|_| self.about.wrong(name, format!("`{text}` is no such number")))
    }

    /// A list of texts in JSON.
    fn list(&self, name: &str) -> Result<Vec<String>, LlbError> {
        let Some(text) = self.get(name).filter(|text| !text.is_empty()) else { return Ok(Vec::new()) };
        serde_json::from_str::<Option<Vec<String>>>(text)
            .map(Option::unwrap_or_default)
            .map_err(|error| self.about.wrong(name, format!("not a list of texts in JSON: {error}")))
    }
}
