//! COPY and ADD.

use kiln_parser::Diagnostic;
use kiln_parser::expand::Lex;
use kiln_parser::instruction::{Add, Copy, FileSource, Heredoc, Instruction, Word};
use kiln_parser::span::Span;

use super::Checked;
use super::scope::expansion_failed;
use super::stage::{StageLowering, from_text};
use super::stages::Origin;
use super::step::not_supported_yet;
use crate::graph::{Display, Vertex, VertexId};
use crate::op::{CopyAction, CopySource, FileAction, FileOp, Op, Owner, Source};
use crate::path;

/// The largest permission bits.
const MODE_MAX: u32 = 0o7777;

/// Bodies of here-documents are always escaped with a backslash, whatever the file's escape character is.
const HEREDOC_LEX: Lex = Lex::new('\\');

/// What COPY and ADD have in common.
struct Request<'i> {
    keyword: &'static str,
    sources: &'i [FileSource],
    destination: &'i Word,
    chown: Option<&'i Word>,
    chmod: Option<&'i Word>,
    excludes: &'i [Word],
    unpack: bool,
    /// `None`: the context.
    origin: Option<Origin>,
}

/// Sources and destination, expanded.
struct Files {
    sources: Vec<CopySource>,
    /// Sources as the history shows them.
    shown: Vec<String>,
    destination: String,
    shown_destination: String,
}

impl StageLowering<'_, '_> {
    pub(super) fn copy(&mut self, instruction: &Instruction, copy: &Copy) -> Checked<()> {
        let flags = [("--link", copy.link.as_ref()), ("--parents", copy.parents.as_ref())];
        for (flag, value) in flags {
            if let Some(value) = value.filter(|value| value.value) {
                self.report(not_supported_yet(&format!("COPY {flag}"), value.span));
            }
        }
        let request = Request {
            keyword: "COPY",
            sources: &copy.sources,
            destination: &copy.destination,
            chown: copy.chown.as_ref(),
            chmod: copy.chmod.as_ref(),
            excludes: &copy.excludes,
            unpack: false,
            origin: self.build.stages.copy_origin(self.index, copy)?,
        };
        self.copy_files(instruction, &request)
    }

    pub(super) fn add(&mut self, instruction: &Instruction, add: &Add) -> Checked<()> {
        let flags = [("--link", add.link.as_ref()), ("--keep-git-dir", add.keep_git_dir.as_ref())];
        for (flag, value) in flags {
            if let Some(value) = value.filter(|value| value.value) {
                self.report(not_supported_yet(&format!("ADD {flag}"), value.span));
            }
        }
        if let Some(checksum) = &add.checksum {
            self.report(not_supported_yet("ADD --checksum", checksum.span));
        }
        let request = Request {
            keyword: "ADD",
            sources: &add.sources,
            destination: &add.destination,
            chown: add.chown.as_ref(),
            chmod: add.chmod.as_ref(),
            excludes: &add.excludes,
            unpack: add.unpack.as_ref().is_none_or(|unpack| unpack.value),
            origin: None,
        };
        self.copy_files(instruction, &request)
    }

    fn copy_files(&mut self, instruction: &Instruction, request: &Request<'_>) -> Checked<()> {
        let chown = self.expand_option(request.chown)?.filter(|chown| !chown.is_empty());
        let chmod = self.expand_option(request.chmod)?.filter(|chmod| !chmod.is_empty());
        let files = self.files(request)?;
        let span_of = |word: Option<&Word>| word.map_or(instruction.span, |word| word.span);
        let owner = chown.as_deref().map(|text| owner(text, span_of(request.chown))).transpose()?;
        let mode =
            chmod.as_deref().map(|text| mode(text, request.keyword, span_of(request.chmod))).transpose()?;
        let excludes = request.excludes.iter().map(|word| self.expand(word)).collect::<Checked<Vec<_>>>()?;
        let created_by = history_text(request.keyword, chown.as_deref(), chmod.as_deref(), &files);

        let reads = files.sources.iter().any(|source| matches!(source, CopySource::Path(_)));
        let mut inputs = vec![self.state.vertex];
        if reads {
            inputs.extend(self.origin_vertex(request.origin.as_ref()));
        }
        let action = FileAction::Copy(CopyAction {
            input: reads.then_some(1),
            sources: files.sources,
            destination: files.destination,
            owner,
            mode,
            excludes,
            unpack: request.unpack,
        });
        let text = self.expanded_text(instruction);
        let display = self.display(instruction, &text);
        let op = Op::File(FileOp { actions: vec![action] });
        let no_cache = self.build.options.no_cache;
        self.state.vertex = self.assembly.add(Vertex { op, inputs, no_cache, display });
        self.state.record_layer(&created_by);
        Ok(())
    }

    fn files(&mut self, request: &Request<'_>) -> Checked<Files> {
        let (mut sources, mut shown) = (Vec::new(), Vec::new());
        for source in request.sources {
            let FileSource::Path(word) = source else { continue };
            let text = self.expand(word)?;
            refuse_remote(request.keyword, &text, word.span)?;
            if request.origin.is_none() {
                self.check_ignored(request.keyword, &text, word.span);
            }
            sources.push(CopySource::Path(path::beneath_root(&text)));
            shown.push(text);
        }
        for source in request.sources {
            let FileSource::Heredoc(heredoc) = source else { continue };
            sources.push(self.inline(heredoc)?);
            shown.push(format!("<<{}", heredoc.name));
        }
        let shown_destination = self.expand(request.destination)?;
        let destination = self.destination(&shown_destination, sources.len(), request);
        Ok(Files { sources, shown, destination, shown_destination })
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

    /// The absolute destination, with a slash at its end if it is a directory. Several sources need one.
    fn destination(&mut self, written: &str, sources: usize, request: &Request<'_>) -> String {
        let is_directory = path::names_directory(written);
        if sources > 1 && !is_directory {
            let message = format!(
                "When using {} with more than one source file, the destination must be a directory and end with a /",
                request.keyword
            );
            let warning =
                Diagnostic::warning("destination-not-a-directory", message, request.destination.span);
            self.report(warning.with_help(format!("write `{written}/`; it is taken as a directory")));
        }
        let mut destination = path::resolve(&self.state.cwd, written);
        if (is_directory || sources > 1) && !destination.ends_with('/') {
            destination.push('/');
        }
        destination
    }

    /// The vertex that the paths are in; `None` if its stage could not be lowered, which was reported.
    pub(super) fn origin_vertex(&mut self, origin: Option<&Origin>) -> Option<VertexId> {
        let display = |name: String| Display { name, ..Display::default() };
        match origin {
            None => {
                let name = Source::MAIN_CONTEXT.to_owned();
                let source = Source::Context { name, ignore: self.build.options.ignore.clone() };
                Some(self.assembly.source(source, display("[internal] load build context".to_owned())))
            }
            Some(Origin::Stage(stage)) => self.done.get(*stage)?.as_ref().map(|state| state.vertex),
            Some(Origin::Scratch) => Some(self.assembly.scratch()),
            Some(Origin::Image(request)) => {
                let digest = self.build.resolved.get(request).map(|base| base.digest.as_str());
                let name = from_text(request, digest.unwrap_or_default());
                Some(self.assembly.source(self.build.image(request), display(name)))
            }
        }
    }
}

/// `COPY --chown=a --chmod=644 source destination`.
fn history_text(keyword: &str, chown: Option<&str>, chmod: Option<&str>, files: &Files) -> String {
    let mut words = vec![keyword.to_owned()];
    words.extend(chown.map(|chown| format!("--chown={chown}")));
    words.extend(chmod.map(|chmod| format!("--chmod={chmod}")));
    words.extend(files.shown.iter().cloned());
    words.push(files.shown_destination.clone());
    words.join(" ")
}

/// `user`, `user:group` or `:group`.
pub(super) fn owner(text: &str, span: Span) -> Checked<Owner> {
    let (user, group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
        None => (text, None),
    };
    if group.is_some_and(|group| group.contains(':')) {
        let message = format!("invalid owner \"{text}\": it is written user or user:group");
        return Err(Box::new(Diagnostic::error("invalid-owner", message, span)));
    }
    Ok(Owner { user: user.to_owned(), group: group.map(str::to_owned) })
}

fn mode(text: &str, keyword: &str, span: Span) -> Checked<u32> {
    let octal = text.bytes().all(|byte| byte.is_ascii_digit());
    match u32::from_str_radix(text, 8).ok().filter(|mode| octal && *mode <= MODE_MAX) {
        Some(mode) => Ok(mode),
        None if is_symbolic(text) => {
            Err(Box::new(not_supported_yet(&format!("a symbolic {keyword} --chmod"), span)))
        }
        None => {
            let message = format!(
                "invalid chmod parameter: '{text}'. it should be octal string and between 0 and 07777"
            );
            Err(Box::new(Diagnostic::error("invalid-mode", message, span)))
        }
    }
}

/// Whether the text has the form of `u=rwX,go-w`.
fn is_symbolic(text: &str) -> bool {
    text.split(',').all(|clause| {
        let rest = clause.trim_start_matches(['u', 'g', 'o', 'a']);
        rest.starts_with(['+', '-', '='])
            && rest
                .chars()
                .all(|c| matches!(c, '+' | '-' | '=' | 'r' | 'w' | 'x' | 'X' | 's' | 't' | 'u' | 'g' | 'o'))
    })
}

/// URLs and git repositories: ADD will take them one day, COPY never does.
fn refuse_remote(keyword: &str, source: &str, span: Span) -> Checked<()> {
    let url = source.starts_with("http://") || source.starts_with("https://");
    let git = source.starts_with("git://") || source.starts_with("ssh://") || is_scp_like(source);
    match (keyword, url, git) {
        (_, false, false) => Ok(()),
        ("COPY", _, git) => {
            let what = if git { "a git ref" } else { "a URL" };
            let error = Diagnostic::error("remote-copy", format!("source can't be {what} for COPY"), span);
            Err(Box::new(error.with_help("use ADD")))
        }
        (_, true, _) => Err(Box::new(not_supported_yet("ADD of a URL", span))),
        (_, false, true) => Err(Box::new(not_supported_yet("ADD of a git repository", span))),
    }
}

/// `git@host:path`, git's own short form.
fn is_scp_like(source: &str) -> bool {
    let Some((host, path)) = source.split_once(':') else { return false };
    let Some((user, host)) = host.split_once('@') else { return false };
    !user.is_empty() && !host.is_empty() && !path.is_empty() && !user.contains('/') && !host.contains('/')
}
