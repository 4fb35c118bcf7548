//! What COPY and ADD name: paths, heredocs, URLs and repositories, sorted by where they come from.

use kiln_parser::Diagnostic;
use kiln_parser::expand::Lex;
use kiln_parser::instruction::{FileSource, Heredoc, Word};
use kiln_parser::span::Span;

use super::Checked;
use super::copy::{AddFlags, Request};
use super::remote::{self, Remote};
use super::scope::expansion_failed;
use super::stage::StageLowering;
use crate::op::{CopySource, Http, Source};
use crate::path;

/// Bodies of here-documents are always escaped with a backslash, whatever the file's escape character is.
const HEREDOC_LEX: Lex = Lex::new('\\');

/// How a SHA-256 checksum begins, and how many hexadecimal digits follow.
const SHA256: (&str, usize) = ("sha256:", 64);

/// Sources and destination, expanded.
pub(super) struct Files {
    /// The sources, in order, next to each other where they share an input.
    pub groups: Vec<Group>,
    /// Sources as the history shows them.
    pub shown: Vec<String>,
    pub destination: String,
    pub shown_destination: String,
}

/// Sources that become one action.
pub(super) struct Group {
    pub input: Input,
    pub sources: Vec<CopySource>,
    pub unpack: bool,
}

/// Where the paths of a group are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// In the graph itself.
    Nothing,
    /// In the context, the stage or the image that the instruction copies from.
    Origin,
    /// Elsewhere.
    Remote(Source),
}

impl StageLowering<'_, '_> {
    pub(super) fn files(&mut self, request: &Request<'_>) -> Checked<Files> {
        let checksum = self.checksum(request)?;
        let (mut groups, mut shown) = (Vec::new(), Vec::new());
        for source in request.sources {
            let FileSource::Path(word) = source else { continue };
            let text = self.expand(word)?;
            match remote(request, &text, checksum.as_deref(), word.span)? {
                Some(group) => groups.push(group),
                None => self.path(request, &text, word.span, &mut groups),
            }
            shown.push(text);
        }
        for source in request.sources {
            let FileSource::Heredoc(heredoc) = source else { continue };
            let inline = self.inline(heredoc)?;
            push(&mut groups, Input::Nothing, inline, false);
            shown.push(format!("<<{}", heredoc.name));
        }
        let shown_destination = self.expand(request.destination)?;
        let destination = self.destination(&shown_destination, shown.len(), request);
        Ok(Files { groups, shown, destination, shown_destination })
    }

    /// The expanded `--checksum`; it speaks of one source, which is not a file.
    fn checksum(&mut self, request: &Request<'_>) -> Checked<Option<String>> {
        let Some(word) = request.add.as_ref().and_then(|add| add.checksum) else { return Ok(None) };
        let text = self.expand(word)?;
        if text.is_empty() {
            return Ok(None);
        }
        if request.sources.len() != 1 {
            return Err(invalid("checksum can't be specified for multiple sources".to_owned(), word.span));
        }
        Ok(Some(text))
    }

    fn path(&mut self, request: &Request<'_>, text: &str, span: Span, groups: &mut Vec<Group>) {
        if request.origin.is_none() {
            self.check_ignored(request.keyword, text, span);
        }
        let unpack = request.add.as_ref().is_some_and(|add| add.unpack.unwrap_or(true));
        let source =
            if request.parents { with_parents(text) } else { CopySource::Path(path::beneath_root(text)) };
        push(groups, Input::Origin, source, unpack);
    }

    fn inline(&mut self, heredoc: &Heredoc) -> Checked<CopySource> {
        let body = &heredoc.body;
        let mut data = body.value.clone();
        if heredoc.expand {
            let expanded = HEREDOC_LEX
                .expand_raw(&body.value, &self.state.environment)
                .map_err(|error| expansion_failed(body, &error))?;
            self.warn_of_unset(&expanded.unset, body.span);
            data = expanded.value;
        }
        Ok(CopySource::Inline { name: heredoc.name.clone(), data: data.into_bytes() })
    }

    /// The absolute destination, with a slash at its end if it is a directory. Several sources should have one.
    fn destination(&mut self, written: &str, sources: usize, request: &Request<'_>) -> String {
        let is_directory = path::names_directory(written);
        if sources > 1 && !is_directory {
            let message = format!(
                "When using {} with more than one source file, the destination must be a directory and end with a /",
                request.keyword
            );
            let warning =
                Diagnostic::warning("destination-not-a-directory", message, request.destination.span);
            self.report(warning.with_help(format!(
                "write `{written}/`: unless it is a directory already, each file takes the place of the one before it"
            )));
        }
        let mut destination = path::resolve(&self.state.cwd, written);
        if is_directory && !destination.ends_with('/') {
            destination.push('/');
        }
        destination
    }
}

/// Adds a source to the last group if that has the same input, to a new one otherwise. What stands in the graph
/// goes with anything that comes before it, as it needs no input.
fn push(groups: &mut Vec<Group>, input: Input, source: CopySource, unpack: bool) {
    match groups.last_mut() {
        Some(last) if last.input == input || (input == Input::Nothing && last.input == Input::Origin) => {
            last.sources.push(source);
        }
        _ => groups.push(Group { input, sources: vec![source], unpack }),
    }
}

/// `pivot/./pattern`, or a pattern from the root.
fn with_parents(text: &str) -> CopySource {
    let (pivot, pattern) = text.split_once("/./").unwrap_or((".", text));
    CopySource::Parents { pivot: path::beneath_root(pivot), pattern: path::beneath_root(pattern) }
}

/// The group of a URL or a repository; nothing for a path.
fn remote(request: &Request<'_>, text: &str, checksum: Option<&str>, span: Span) -> Checked<Option<Group>> {
    let parsed = remote::parse(text).map_err(|message| invalid(message, span))?;
    let Some(flags) = &request.add else { return refuse(request.keyword, parsed.as_ref(), span) };
    Ok(match parsed {
        None if checksum.is_some() => {
            return Err(invalid("checksum requires HTTP(S) or Git sources".to_owned(), span));
        }
        None => None,
        Some(Remote::Git(address)) => {
            let git = address
                .with_flags(flags.keep_git_dir, checksum)
                .map_err(|message| invalid(message, place(flags.checksum, span)))?;
            Some(group(Source::Git(git), ".".to_owned(), false))
        }
        Some(Remote::Http(http)) => {
            let checksum = checksum.map(|text| sha256(text, place(flags.checksum, span))).transpose()?;
            let name = escape(&http.filename);
            Some(group(Source::Http(Http { checksum, ..http }), name, unpacks(flags)))
        }
    })
}

/// What comes from a web server stays as it is unless `--unpack` says otherwise.
fn unpacks(flags: &AddFlags<'_>) -> bool {
    flags.unpack.unwrap_or(false)
}

fn group(source: Source, path: String, unpack: bool) -> Group {
    Group { input: Input::Remote(source), sources: vec![CopySource::Path(path)], unpack }
}

/// COPY takes nothing from elsewhere.
fn refuse(keyword: &str, remote: Option<&Remote>, span: Span) -> Checked<Option<Group>> {
    let what = match remote {
        None => return Ok(None),
        Some(Remote::Git(_)) => "a git ref",
        Some(Remote::Http(_)) => "a URL",
    };
    let error = Diagnostic::error("remote-copy", format!("source can't be {what} for {keyword}"), span);
    Err(Box::new(error.with_help("use ADD")))
}

fn place(word: Option<&Word>, otherwise: Span) -> Span {
    word.map_or(otherwise, |word| word.span)
}

fn invalid(message: String, span: Span) -> Box<Diagnostic> {
    Box::new(Diagnostic::error("invalid-source", message, span))
}

fn sha256(text: &str, span: Span) -> Checked<String> {
    let digits = text.strip_prefix(SHA256.0).unwrap_or_default();
    let is_lower_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if digits.len() == SHA256.1 && digits.bytes().all(is_lower_hex) {
        return Ok(text.to_owned());
    }
    let message = format!("invalid checksum \"{text}\"");
    let error = Diagnostic::error("invalid-checksum", message, span);
    Err(Box::new(
        error.with_help("it is written sha256: and 64 hexadecimal digits, as sha256sum prints them"),
    ))
}

/// A name as a pattern that matches nothing else.
fn escape(name: &str) -> String {
    let mut pattern = String::with_capacity(name.len());
    for character in name.chars() {
        if matches!(character, '\\' | '*' | '?' | '[') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern
}
