//! Instructions with their types: what was written, before any variable is expanded.
//!
//! The parser makes these from syntax nodes; the graph's lowering gives them their meaning. A
//! [`Word`] keeps its quotes, escapes and `$variables`, because only the lowering knows the scope that
//! expands them. Source of the forms: the public Dockerfile reference.

use crate::span::{Span, Spanned};

/// Text as it was written, unexpanded: quotes, escapes and `$variables` are still in it.
pub type Word = Spanned<String>;

/// A whole Dockerfile, cut into the part before the first FROM and its stages.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dockerfile {
    /// Parser directives (`# syntax=`, `# escape=`, `# check=`), in the order written.
    pub directives: Vec<Directive>,
    /// ARG declarations before the first FROM: the global scope, in the order written.
    pub global_args: Vec<(ArgDeclaration, Span)>,
    /// The stages, in the order written.
    pub stages: Vec<Stage>,
}

impl Dockerfile {
    /// The escape character: what `# escape=` says, or a backslash.
    pub fn escape(&self) -> char {
        let directive = self.directives.iter().find(|directive| directive.name.value == "escape");
        if directive.is_some_and(|directive| directive.value.value == "`") { '`' } else { '\\' }
    }
}

/// One parser directive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directive {
    /// Its name in lower case: `syntax`, `escape` or `check`.
    pub name: Spanned<String>,
    /// Its value, trimmed.
    pub value: Spanned<String>,
}

/// FROM and the instructions that follow it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// The FROM instruction.
    pub from: From,
    /// Everything up to the next FROM, in order.
    pub instructions: Vec<Instruction>,
    /// From the `F` of FROM to the end of the stage's last instruction.
    pub span: Span,
}

/// `FROM [--platform=P] BASE [AS NAME]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct From {
    /// `--platform`, unexpanded.
    pub platform: Option<Word>,
    /// The base: an image, an earlier stage's name or index, or `scratch`. Unexpanded.
    pub base: Word,
    /// The name after AS, lower-cased as Docker does; the span shows how it was written.
    pub name: Option<Spanned<String>>,
    /// The instruction's text as written, for display and history.
    pub text: String,
    /// The whole instruction.
    pub span: Span,
    /// The keyword alone.
    pub keyword: Span,
}

/// One instruction of a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instruction {
    /// What it is.
    pub command: Command,
    /// The instruction's text with continuation lines joined, comments dropped, and heredoc bodies left
    /// out: what a progress line shows.
    pub text: String,
    /// The whole instruction, heredoc bodies included.
    pub span: Span,
    /// The keyword alone.
    pub keyword: Span,
}

/// What an instruction asks for. FROM is not among them: it opens a [`Stage`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// ADD.
    Add(Add),
    /// ARG inside a stage: one or more declarations.
    Arg(Vec<ArgDeclaration>),
    /// CMD.
    Cmd(CommandLine),
    /// COPY.
    Copy(Copy),
    /// ENTRYPOINT.
    Entrypoint(CommandLine),
    /// ENV, both forms.
    Env(Vec<KeyValue>),
    /// EXPOSE: each port specification, unexpanded.
    Expose(Vec<Word>),
    /// HEALTHCHECK.
    Healthcheck(Healthcheck),
    /// LABEL, both forms.
    Label(Vec<KeyValue>),
    /// MAINTAINER (deprecated).
    Maintainer(Word),
    /// ONBUILD: the trigger as parsed (so that its mistakes are found here) and its text as stored in the image.
    Onbuild(Onbuild),
    /// RUN.
    Run(Run),
    /// SHELL: always the JSON form, already unquoted.
    Shell(Vec<Spanned<String>>),
    /// STOPSIGNAL.
    Stopsignal(Word),
    /// USER.
    User(Word),
    /// VOLUME, both forms; a JSON form's members are already unquoted.
    Volume(Vec<Word>),
    /// WORKDIR.
    Workdir(Word),
}

/// `NAME` or `NAME=DEFAULT` of an ARG.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArgDeclaration {
    /// The name.
    pub name: Spanned<String>,
    /// The default, unexpanded; `None` when there is no `=`.
    pub default: Option<Word>,
}

/// One key and value of ENV or LABEL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyValue {
    /// The key, unexpanded (LABEL expands keys too).
    pub key: Word,
    /// The value, unexpanded.
    pub value: Word,
    /// True for the old form `ENV key value`.
    pub legacy: bool,
}

/// A command in shell or exec form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandLine {
    /// Shell form: given to SHELL (default `/bin/sh -c`) as one argument.
    Shell {
        /// The text with continuation lines joined and comment lines dropped, as Docker passes it on.
        /// Heredoc bodies are not in it, their `<<EOF` markers are.
        text: Spanned<String>,
    },
    /// Exec form: a JSON array of strings, unquoted.
    Exec(Vec<Spanned<String>>),
}

/// RUN with its flags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Each `--mount`, in order.
    pub mounts: Vec<Mount>,
    /// `--network`.
    pub network: Option<Spanned<Network>>,
    /// `--security`.
    pub security: Option<Spanned<Security>>,
    /// Each `--device`.
    pub devices: Vec<Word>,
    /// What to run.
    pub command: CommandLine,
    /// The heredocs of a shell form, in order of their markers.
    pub heredocs: Vec<Heredoc>,
}

/// `RUN --network=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// The build's own choice.
    Default,
    /// No network but loopback.
    None,
    /// The host's network.
    Host,
}

/// `RUN --security=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// The normal sandbox.
    Sandbox,
    /// All privileges; needs an entitlement.
    Insecure,
}

/// `RUN --mount=`: one value a key, as written. The lowering expands and checks them against the type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// The whole flag.
    pub span: Span,
    /// `type=`, `bind` when absent.
    pub kind: Spanned<MountKind>,
    /// `from=`: never expanded.
    pub from: Option<Word>,
    /// `source=` or `src=`.
    pub source: Option<Word>,
    /// `target=`, `dst=` or `destination=`.
    pub target: Option<Word>,
    /// `readonly`/`ro` as true, `readwrite`/`rw` as false; absent when neither was written.
    pub readonly: Option<Spanned<bool>>,
    /// `id=`.
    pub id: Option<Word>,
    /// `sharing=`.
    pub sharing: Option<Spanned<Sharing>>,
    /// `mode=`: octal, unexpanded.
    pub mode: Option<Word>,
    /// `uid=`.
    pub uid: Option<Word>,
    /// `gid=`.
    pub gid: Option<Word>,
    /// `size=` of a tmpfs, in bytes with an optional unit.
    pub size: Option<Word>,
    /// `required`.
    pub required: Option<Spanned<bool>>,
    /// `env=` of a secret.
    pub env: Option<Word>,
    /// Every field, in order, where one that names its value among a few holds variables: then the members above are not to
    /// be relied on before [`settled`](Self::settled) has been called. Empty otherwise.
    pub open: Vec<MountField>,
}

/// One `key=value` or `key` of a mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountField {
    /// The field.
    pub span: Span,
    /// The key in lower case.
    pub key: String,
    /// What follows the `=`, unexpanded.
    pub value: Option<Word>,
}

/// The type of a [`Mount`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MountKind {
    /// A file tree of the context, a stage or an image.
    Bind,
    /// A directory that survives between builds.
    Cache,
    /// An empty file system in memory.
    Tmpfs,
    /// A file that never enters a layer.
    Secret,
    /// The forwarded SSH agent.
    Ssh,
}

/// How concurrent steps use one cache mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// All at once.
    Shared,
    /// Each with a directory of its own.
    Private,
    /// One after another.
    Locked,
}

/// COPY with its flags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// What is copied.
    pub sources: Vec<FileSource>,
    /// Where to: the last argument.
    pub destination: Word,
    /// `--from`: a stage's name or index, an image, or a named context.
    pub from: Option<Word>,
    /// `--chown`.
    pub chown: Option<Word>,
    /// `--chmod`.
    pub chmod: Option<Word>,
    /// `--link[=bool]`.
    pub link: Option<Spanned<bool>>,
    /// `--parents[=bool]`.
    pub parents: Option<Spanned<bool>>,
    /// Each `--exclude`.
    pub excludes: Vec<Word>,
}

/// ADD with its flags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Add {
    /// What is added.
    pub sources: Vec<FileSource>,
    /// Where to: the last argument.
    pub destination: Word,
    /// `--chown`.
    pub chown: Option<Word>,
    /// `--chmod`.
    pub chmod: Option<Word>,
    /// `--link[=bool]`.
    pub link: Option<Spanned<bool>>,
    /// `--keep-git-dir[=bool]`.
    pub keep_git_dir: Option<Spanned<bool>>,
    /// `--checksum`.
    pub checksum: Option<Word>,
    /// `--unpack[=bool]`.
    pub unpack: Option<Spanned<bool>>,
    /// Each `--exclude`.
    pub excludes: Vec<Word>,
}

/// One source of COPY or ADD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileSource {
    /// A path, pattern or (ADD) URL, unexpanded.
    Path(Word),
    /// A file written in the Dockerfile itself.
    Heredoc(Heredoc),
}

/// A here-document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heredoc {
    /// The delimiter without quotes: also the file's name in COPY and ADD.
    pub name: String,
    /// The body, its last newline included; for `<<-` leading tabs are already stripped.
    pub body: Spanned<String>,
    /// False when the delimiter was quoted: COPY and ADD then take the body as it is.
    pub expand: bool,
    /// True for `<<-`.
    pub strip_tabs: bool,
    /// The number before `<<`, 0 when there is none.
    pub file_descriptor: u32,
    /// The marker (`<<EOF`) in the instruction's line.
    pub marker: Span,
}

/// HEALTHCHECK.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Healthcheck {
    /// `HEALTHCHECK NONE`.
    None,
    /// `HEALTHCHECK [options] CMD …`. Durations are in nanoseconds, as the image configuration stores them.
    Command {
        /// What to run.
        command: CommandLine,
        /// `--interval`.
        interval: Option<Spanned<i64>>,
        /// `--timeout`.
        timeout: Option<Spanned<i64>>,
        /// `--start-period`.
        start_period: Option<Spanned<i64>>,
        /// `--start-interval`.
        start_interval: Option<Spanned<i64>>,
        /// `--retries`.
        retries: Option<Spanned<u32>>,
    },
}

/// ONBUILD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Onbuild {
    /// The trigger, parsed.
    pub trigger: Box<Instruction>,
    /// The trigger's text as it goes into the image configuration.
    pub text: String,
}
