//! COPY and ADD: flags, inputs and the vertex. What their words name is in `files`.

use kiln_parser::Diagnostic;
use kiln_parser::instruction::{Add, Copy, FileSource, Instruction, Word};
use kiln_parser::span::{Span, Spanned};

use super::Checked;
use super::context_files;
use super::files::{Files, Input};
use super::stage::{StageLowering, from_text};
use super::stages::Origin;
use crate::graph::{Display, Vertex, VertexId};
use crate::mode::SymbolicMode;
use crate::op::{CopyAction, FileAction, FileOp, ModeChange, Op, Owner, Source};
use crate::redact;

/// The largest permission bits.
const MODE_MAX: u32 = 0o7777;

/// What COPY and ADD have in common.
pub(super) struct Request<'i> {
    pub keyword: &'static str,
    pub sources: &'i [FileSource],
    pub destination: &'i Word,
    chown: Option<&'i Word>,
    chmod: Option<&'i Word>,
    excludes: &'i [Word],
    link: bool,
    /// `--parents`.
    pub parents: bool,
    /// `None`: the context.
    pub origin: Option<Origin>,
    /// What only ADD has.
    pub add: Option<AddFlags<'i>>,
}

/// The flags that only ADD has.
pub(super) struct AddFlags<'i> {
    pub unpack: Option<bool>,
    pub keep_git_dir: Option<bool>,
    pub checksum: Option<&'i Word>,
}

fn is_set(flag: Option<&Spanned<bool>>) -> bool {
    flag.is_some_and(|flag| flag.value)
}

impl StageLowering<'_, '_> {
    pub(super) fn copy(&mut self, instruction: &Instruction, copy: &Copy) -> Checked<()> {
        let request = Request {
            keyword: "COPY",
            sources: &copy.sources,
            destination: &copy.destination,
            chown: copy.chown.as_ref(),
            chmod: copy.chmod.as_ref(),
            excludes: &copy.excludes,
            link: is_set(copy.link.as_ref()),
            parents: is_set(copy.parents.as_ref()),
            origin: self.build.stages.copy_origin(self.index, copy)?,
            add: None,
        };
        self.copy_files(instruction, &request)
    }

    pub(super) fn add(&mut self, instruction: &Instruction, add: &Add) -> Checked<()> {
        let request = Request {
            keyword: "ADD",
            sources: &add.sources,
            destination: &add.destination,
            chown: add.chown.as_ref(),
            chmod: add.chmod.as_ref(),
            excludes: &add.excludes,
            link: is_set(add.link.as_ref()),
            parents: false,
            origin: None,
            add: Some(AddFlags {
                unpack: add.unpack.as_ref().map(|unpack| unpack.value),
                keep_git_dir: add.keep_git_dir.as_ref().map(|keep| keep.value),
                checksum: add.checksum.as_ref(),
            }),
        };
        self.copy_files(instruction, &request)
    }

    fn copy_files(&mut self, instruction: &Instruction, request: &Request<'_>) -> Checked<()> {
        let chown = self.expand_option(request.chown)?.filter(|chown| !chown.is_empty());
        let chmod = self.expand_option(request.chmod)?.filter(|chmod| !chmod.is_empty());
        let files = self.files(request)?;
        let span_of = |word: Option<&Word>| word.map_or(instruction.span, |word| word.span);
        let owner = chown.as_deref().map(|text| owner(text, span_of(request.chown))).transpose()?;
        let mode = chmod.as_deref().map(|text| mode(text, span_of(request.chmod))).transpose()?;
        let excludes = request.excludes.iter().map(|word| self.expand(word)).collect::<Checked<Vec<_>>>()?;
        let created_by = history_text(request, chown.as_deref(), chmod.as_deref(), &files);

        let mut inputs = vec![self.state.vertex];
        let mut actions = Vec::with_capacity(files.groups.len());
        for group in files.groups {
            let vertex = self.input_vertex(instruction, request, group.input);
            let input = vertex.map(|vertex| input_number(&mut inputs, vertex));
            actions.push(FileAction::Copy(CopyAction {
                input,
                sources: group.sources,
                destination: files.destination.clone(),
                owner: owner.clone(),
                mode: mode.clone(),
                excludes: excludes.clone(),
                unpack: group.unpack,
                directories_themselves: false,
            }));
        }
        let text = redact(&self.expanded_text(instruction));
        let display = self.display(instruction, &text);
        // Beside --chmod, BuildKit takes no note of --link, and whoever relies on it copies into directories that are there.
        let op = Op::File(FileOp { actions, link: request.link && mode.is_none() });
        let no_cache = self.state.no_cache;
        self.state.vertex = self.assembly.add(Vertex { op, inputs, no_cache, display });
        self.state.record_layer(&created_by);
        Ok(())
    }

    /// The vertex that a group's paths are in; `None` if it needs none, or its stage could not be lowered, which
    /// was reported.
    fn input_vertex(
        &mut self,
        instruction: &Instruction,
        request: &Request<'_>,
        input: Input,
    ) -> Option<VertexId> {
        match input {
            Input::Nothing => None,
            Input::Origin => self.origin_vertex(request.origin.as_ref()),
            Input::Remote(source) => {
                let name = match &source {
                    Source::Http(http) => format!("[internal] download {}", redact(&http.url)),
                    Source::Git(git) => format!("[internal] load git source {}", redact(&git.remote)),
                    _ => String::new(),
                };
                let display =
                    Display { name, location: Some(self.location(instruction)), ..Display::default() };
                Some(self.assembly.source(source, display))
            }
        }
    }

    /// The vertex that a stage, an image or the context is.
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
            Some(Origin::Files { name, source }) => Some(context_files::files(self.assembly, name, source)),
            Some(Origin::Image(request)) => {
                let digest = self.build.resolved.get(request).map(|base| base.digest.as_str());
                let name = from_text(request, digest.unwrap_or_default());
                Some(self.assembly.source(self.build.image(request), display(name)))
            }
        }
    }
}

/// The number of `vertex` among the inputs, which gets it if it has none. Input 0 is the root, also where the
/// same vertex is copied from.
fn input_number(inputs: &mut Vec<VertexId>, vertex: VertexId) -> usize {
    let known = inputs.iter().skip(1).position(|input| *input == vertex);
    known.map_or_else(
        || {
            inputs.push(vertex);
            inputs.len() - 1
        },
        |index| index + 1,
    )
}

/// `COPY --chown=a --chmod=644 source destination`.
fn history_text(request: &Request<'_>, chown: Option<&str>, chmod: Option<&str>, files: &Files) -> String {
    let mut words = vec![request.keyword.to_owned()];
    words.extend(request.parents.then(|| "--parents".to_owned()));
    words.extend(chown.map(|chown| format!("--chown={chown}")));
    words.extend(chmod.map(|chmod| format!("--chmod={chmod}")));
    words.extend(files.shown.iter().cloned());
    words.push(files.shown_destination.clone());
    redact(&words.join(" "))
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

fn mode(text: &str, span: Span) -> Checked<ModeChange> {
    let numeric = text.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(mode) = u32::from_str_radix(text, 8).ok().filter(|mode| numeric && *mode <= MODE_MAX) {
        return Ok(ModeChange::Set(mode));
    }
    if !numeric && SymbolicMode::parse(text).is_ok() {
        return Ok(ModeChange::Symbolic(text.to_owned()));
    }
    let message =
        format!("invalid chmod parameter: '{text}'. it should be octal string and between 0 and 07777");
    let error = Diagnostic::error("invalid-mode", message, span);
    Err(Box::new(error.with_help("or write it as chmod takes it: u=rwX,go-w")))
}
