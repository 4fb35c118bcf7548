//! One stage: where it starts, its steps in order, and the state that they change.

use std::collections::HashSet;

use kiln_parser::Diagnostic;
use kiln_parser::instruction::{Command, Instruction};
use kiln_parser::span::Span;

use super::assembly::{Assembly, Lines};
use super::bases::{Resolved, inherited_config, scratch_config};
use super::context_files;
use super::onbuild;
use super::options::LowerOptions;
use super::platform::Platform;
use super::rules::Ignored;
use super::scope::{Environment, Globals};
use super::stages::{Origin, Stages};
use crate::graph::{Display, Location, VertexId};
use crate::image::ImageConfig;
use crate::op::Source;
use crate::path;
use crate::plan::BaseRequest;

/// What all stages of one lowering share, read only.
#[derive(Clone, Copy)]
pub(super) struct Build<'b> {
    pub lines: &'b Lines,
    pub options: &'b LowerOptions,
    pub globals: &'b Globals,
    pub stages: &'b Stages<'b>,
    pub resolved: &'b Resolved,
    pub ignored: Option<&'b Ignored>,
}

/// What a stage has become so far; stages that start from it start with a copy.
#[derive(Debug, Clone)]
pub(super) struct StageState {
    /// Whose result the files are.
    pub vertex: VertexId,
    /// The image configuration.
    pub config: ImageConfig,
    /// What variables expand to and RUN sees: the image's environment and the ARGs in scope.
    pub environment: Environment,
    /// The ARGs declared, in order, for the history of RUN.
    pub args: Vec<(String, Option<String>)>,
    /// The platform of the image that the files began as.
    pub platform: String,
    /// WORKDIR as an absolute, clean path.
    pub cwd: String,
    /// Whether the cache is not to answer for its steps.
    pub no_cache: bool,
    /// Whether CMD was given in this very stage: then ENTRYPOINT leaves it alone.
    pub cmd_set: bool,
    /// Whether WORKDIR was given in this file.
    pub workdir_set: bool,
    /// Whether the configuration of the base is known: always, but in a check.
    pub base_known: bool,
}

impl StageState {
    fn new(vertex: VertexId, mut config: ImageConfig, platform: String) -> Self {
        let mut environment = Environment::default();
        for variable in &config.config.env {
            let (name, value) = variable.split_once('=').unwrap_or((variable, ""));
            environment.set(name, value);
        }
        let cwd = path::resolve("/", &config.config.working_dir);
        let working_dir = &mut config.config.working_dir;
        if !working_dir.is_empty() && !working_dir.starts_with('/') {
            working_dir.clone_from(&cwd);
        }
        let (args, no_cache, cmd_set, workdir_set) = (Vec::new(), false, false, false);
        let base_known = true;
        Self { vertex, config, environment, args, platform, cwd, no_cache, cmd_set, workdir_set, base_known }
    }
}

impl StageState {
    /// The names that an ARG gave their value. Where ENV has the same name, the value is ENV's.
    fn arguments(&self) -> Vec<String> {
        let env = &self.config.config.env;
        let is_env = |name: &str| env.iter().any(|known| known.split('=').next() == Some(name));
        let mut names: Vec<String> =
            self.args.iter().map(|(name, _)| name).filter(|name| !is_env(name)).cloned().collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// The numbers in `[stage 2/4]`.
struct Progress {
    step: usize,
    total: usize,
}

/// A stage that is being lowered.
pub(super) struct StageLowering<'b, 'm> {
    pub build: Build<'b>,
    pub index: usize,
    pub done: &'m [Option<StageState>],
    pub assembly: &'m mut Assembly,
    pub state: StageState,
    diagnostics: &'m mut Vec<Diagnostic>,
    /// What was found in this instruction.
    reported: HashSet<Diagnostic>,
    progress: Progress,
    /// Set while a trigger of the base runs: the FROM that brought it.
    trigger_of: Option<Span>,
}

impl Build<'_> {
    /// Lowers a stage whose stages before it are done. `None` when its base is not there, which was reported.
    pub fn lower_stage(
        self,
        index: usize,
        done: &[Option<StageState>],
        assembly: &mut Assembly,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<StageState> {
        let stage = self.stages.get(index);
        let origin = stage.origin.as_ref().ok()?;
        let total = self.count_steps(index, origin);
        let mut progress = Progress { step: 0, total };
        let mut state = self.start(index, origin, done, &mut progress, assembly, diagnostics)?;
        state.no_cache |= self.options.no_cache || self.stages.is_uncached(index);
        let history = state.config.history.iter().filter_map(|entry| entry.created_by.as_deref());
        if !assembly.keep(history) {
            return None;
        }
        let trigger_of = None;
        let reported = HashSet::new();
        let mut lowering = StageLowering {
            build: self,
            index,
            done,
            assembly,
            state,
            diagnostics,
            reported,
            progress,
            trigger_of,
        };
        for trigger in &stage.triggers {
            lowering.trigger(trigger, stage.source.from.span);
        }
        for instruction in stage.instructions() {
            lowering.instruction(instruction);
        }
        Some(lowering.state)
    }

    /// The steps that the progress counts: those that touch files.
    fn count_steps(&self, index: usize, origin: &Origin) -> usize {
        let stage = self.stages.get(index);
        let counted = stage.triggers.iter().chain(stage.instructions()).filter(|instruction| {
            matches!(
                instruction.command,
                Command::Add(_) | Command::Copy(_) | Command::Run(_) | Command::Workdir(_)
            )
        });
        counted.count() + usize::from(matches!(origin, Origin::Image(_) | Origin::Files { .. }))
    }

    fn start(
        &self,
        index: usize,
        origin: &Origin,
        done: &[Option<StageState>],
        progress: &mut Progress,
        assembly: &mut Assembly,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<StageState> {
        let stage = self.stages.get(index);
        match origin {
            Origin::Stage(base) => {
                let mut state = done.get(*base)?.clone()?;
                state.cmd_set = false;
                state.config.config.on_build.clear();
                Some(state)
            }
            Origin::Scratch => {
                let vertex = assembly.scratch();
                Some(StageState::new(vertex, scratch_config(&stage.platform), stage.platform.to_string()))
            }
            Origin::Files { name, source } => {
                let display = self.base_display(index, progress, &format!("FROM {name}"));
                let vertex = context_files::root(assembly, name, source, display);
                let (config, platform) = (scratch_config(&stage.platform), stage.platform.to_string());
                let mut state = StageState::new(vertex, config, platform);
                state.record_layer(&format!("FROM {name}"));
                Some(state)
            }
            Origin::Image(request) => {
                let Some(base) = self.resolved.get(request) else {
                    return self.options.check.then(|| self.start_unknown(request, assembly));
                };
                diagnostics.extend(platform_mismatch(request, &base.config, stage.source.from.base.span));
                let display = self.base_display(index, progress, &from_text(request, &base.digest));
                let vertex = assembly.source(self.image(request), display);
                Some(StageState::new(vertex, inherited_config(&base.config), request.platform.clone()))
            }
        }
    }

    /// How the beginning of a stage is shown.
    fn base_display(&self, index: usize, progress: &mut Progress, text: &str) -> Display {
        let stage = self.stages.get(index);
        let name = progress.name(&stage.label, text);
        let location = Some(self.lines.location(stage.source.from.span));
        Display { name, stage: stage.label.clone(), location, ..Display::default() }
    }

    /// The state of a stage in a check that could not learn about its base.
    fn start_unknown(&self, request: &BaseRequest, assembly: &mut Assembly) -> StageState {
        let vertex = assembly.source(self.image(request), Display::default());
        let config = inherited_config(&ImageConfig::default());
        let state = StageState::new(vertex, config, request.platform.clone());
        StageState { base_known: false, ..state }
    }

    /// The source that stands for an image.
    pub fn image(&self, request: &BaseRequest) -> Source {
        if let Some(image) = &request.layout {
            return Source::Layout { image: image.clone(), platform: request.platform.clone() };
        }
        Source::Image {
            reference: request.reference.clone(),
            platform: request.platform.clone(),
            digest: self.resolved.get(request).map(|base| base.digest.clone()),
        }
    }
}

/// What a progress line shows of an image.
pub(super) fn from_text(request: &BaseRequest, digest: &str) -> String {
    if request.reference.contains('@') {
        format!("FROM {}", request.reference)
    } else {
        format!("FROM {}@{digest}", request.reference)
    }
}

fn platform_mismatch(request: &BaseRequest, config: &ImageConfig, span: Span) -> Option<Diagnostic> {
    let wanted = Platform::parse(&request.platform, None).ok()?;
    let known = !config.os.is_empty() && !config.architecture.is_empty();
    if !known || (wanted.os == config.os && wanted.arch == config.architecture) {
        return None;
    }
    let actual = Platform::normal(&config.os, &config.architecture, config.variant.as_deref().unwrap_or(""));
    let message = format!(
        "Base image {} was pulled with platform \"{actual}\", expected \"{wanted}\" for current build",
        request.reference
    );
    Some(Diagnostic::warning("InvalidBaseImagePlatform", message, span))
}

impl Progress {
    /// `[label 2/4] text`, for the next step. Numbers are as wide as the total, as in BuildKit.
    fn name(&mut self, label: &str, text: &str) -> String {
        self.step += 1;
        let Self { step, total } = *self;
        let width = total.to_string().len();
        let space = if label.is_empty() { "" } else { " " };
        format!("[{label}{space}{step:>width$}/{total}] {text}")
    }
}

impl StageLowering<'_, '_> {
    fn instruction(&mut self, instruction: &Instruction) {
        self.reported.clear();
        if let Err(diagnostic) = self.dispatch(instruction) {
            self.report(*diagnostic);
        }
    }

    /// Runs a trigger. Its own spans are of another text, so whatever is found is shown at the FROM.
    fn trigger(&mut self, trigger: &Instruction, from: Span) {
        let before = self.diagnostics.len();
        self.trigger_of = Some(from);
        self.instruction(trigger);
        self.trigger_of = None;
        let found = self.diagnostics.split_off(before);
        let relocated = found.into_iter().map(|finding| onbuild::relocate(finding, &trigger.text, from));
        self.diagnostics.extend(relocated);
    }

    /// Whether a trigger of the base is being lowered.
    pub fn is_trigger(&self) -> bool {
        self.trigger_of.is_some()
    }

    /// Keeps a finding, once: a word that is expanded twice is wrong once.
    pub fn report(&mut self, diagnostic: Diagnostic) {
        if self.reported.insert(diagnostic.clone()) {
            self.diagnostics.push(diagnostic);
        }
    }

    /// How the next step is shown.
    pub fn display(&mut self, instruction: &Instruction, text: &str) -> Display {
        let label = &self.build.stages.get(self.index).label;
        let (keyword, rest) = text.split_at(text.find(char::is_whitespace).unwrap_or(text.len()));
        let onbuild = if self.trigger_of.is_some() { "ONBUILD " } else { "" };
        let name = self.progress.name(label, &format!("{onbuild}{}{rest}", keyword.to_uppercase()));
        let (stage, location) = (label.clone(), Some(self.location(instruction)));
        Display { name, stage, location, arguments: self.state.arguments() }
    }

    /// Where an instruction was written.
    pub fn location(&self, instruction: &Instruction) -> Location {
        self.build.lines.location(self.trigger_of.unwrap_or(instruction.span))
    }
}
