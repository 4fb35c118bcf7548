//! Stages: what each one starts from, and which of them the target needs.
//!
//! A FROM names an earlier stage, `scratch` or an image; a name that only a later stage has is an image, as in
//! Docker. Stages that the target does not need are never evaluated, so mistakes of meaning in them do not
//! stop a build.

use kiln_parser::Diagnostic;
use kiln_parser::instruction::{self, Command, Copy, Dockerfile, Instruction, Word};
use kiln_parser::span::Span;
use kiln_parser::suggest;

use super::contexts;
use super::options::LowerOptions;
use super::platform::Platform;
use super::scope::{Environment, FromWord, Globals, expansion_failed};
use super::{Checked, Platforms, mounts, rules};
use crate::op::Source;
use crate::plan::BaseRequest;

/// The base that has no files.
pub(super) const SCRATCH: &str = "scratch";

/// What a stage, or a `COPY --from`, takes its files from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// A stage before it.
    Stage(usize),
    /// Nothing.
    Scratch,
    /// An image.
    Image(BaseRequest),
    /// The files of a named context.
    Files {
        /// Its name.
        name: String,
        /// The files.
        source: Source,
    },
}

/// A stage and what is known about it before it is lowered.
pub(super) struct Stage<'a> {
    pub source: &'a instruction::Stage,
    pub origin: Checked<Origin>,
    pub platform: Platform,
    /// The name in progress lines: `build`, `stage-1`, or empty in a file of a single stage.
    pub label: String,
    /// What its FROM names, variables expanded; `None` if that cannot be said.
    pub base: Option<String>,
    /// Whether a named context stands for the stage: it is what the context is, and nothing of it is done.
    pub replaced: bool,
    /// Instructions of the base's ONBUILD, which run before the stage's own.
    pub triggers: Vec<Instruction>,
    warnings: Vec<Diagnostic>,
    needed: bool,
}

impl<'a> Stage<'a> {
    /// What is done in it.
    pub fn instructions(&self) -> &'a [Instruction] {
        if self.replaced { &[] } else { &self.source.instructions }
    }
}

/// All stages of a file.
pub(super) struct Stages<'a> {
    all: Vec<Stage<'a>>,
    globals: &'a Globals,
    options: &'a LowerOptions,
    target_platform: Platform,
}

impl<'a> Stages<'a> {
    pub fn new(
        dockerfile: &'a Dockerfile,
        globals: &'a Globals,
        platforms: &Platforms,
        options: &'a LowerOptions,
    ) -> Self {
        let target_platform = platforms.target.clone();
        let all = Vec::with_capacity(dockerfile.stages.len());
        let mut stages = Self { all, globals, options, target_platform };
        let single = dockerfile.stages.len() == 1;
        for (index, source) in dockerfile.stages.iter().enumerate() {
            let mut warnings = Vec::new();
            let platform = stages.platform_of(source, platforms, &mut warnings);
            let base = platform.clone().and_then(|_| stages.base_of(source, &mut warnings));
            let platform_known = platform.as_ref().unwrap_or(&platforms.target);
            let origin = base.clone().map(|name| stages.origin_of(name, platform_known));
            let instead = stages.replacement(source, platform_known);
            // A check that is not about one target looks at every instruction there is.
            let replaced = instead.is_some() && !(options.check && options.target.is_none());
            let origin = origin.map(|origin| instead.unwrap_or(origin));
            let label = match &source.from.name {
                _ if single => String::new(),
                Some(name) => name.value.clone(),
                None => format!("stage-{index}"),
            };
            let platform = platform.unwrap_or_else(|_| platforms.target.clone());
            let (triggers, base) = (Vec::new(), base.ok());
            stages.all.push(Stage {
                source,
                origin,
                platform,
                label,
                base,
                replaced,
                triggers,
                warnings,
                needed: false,
            });
        }
        stages
    }

    pub fn len(&self) -> usize {
        self.all.len()
    }

    pub fn get(&self, index: usize) -> &Stage<'a> {
        &self.all[index]
    }

    pub fn is_needed(&self, index: usize) -> bool {
        self.all[index].needed
    }

    pub fn add_triggers(&mut self, index: usize, triggers: Vec<Instruction>) {
        self.all[index].triggers.extend(triggers);
    }

    /// The triggers of all stages.
    pub fn triggers(&self) -> impl Iterator<Item = &Instruction> {
        self.all.iter().flat_map(|stage| &stage.triggers)
    }

    /// The names of the global scope, those that every build has among them.
    pub fn automatic_names(&self) -> impl Iterator<Item = &str> {
        self.globals.environment.names()
    }

    /// The names of the named contexts, for suggestions.
    pub fn contexts(&self) -> impl Iterator<Item = &str> {
        self.options.contexts.keys().map(String::as_str)
    }

    /// The named context that asks for this image, if one does.
    pub fn context_of(&self, request: &BaseRequest) -> Option<&str> {
        contexts::name_of(self.options, request)
    }

    /// The names of the stages, for suggestions.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.all.iter().filter_map(|stage| stage.source.from.name.as_ref()).map(|name| name.value.as_str())
    }

    /// The stage to build.
    pub fn find_target(&self, target: Option<&str>) -> Checked<usize> {
        let error = |code, message: String| Box::new(Diagnostic::error(code, message, Span::default()));
        let Some(last) = self.all.len().checked_sub(1) else {
            let nothing = error("no-stages", "dockerfile contains no stages to build".to_owned());
            return Err(Box::new(nothing.with_help("a stage begins with FROM")));
        };
        let Some(target) = target else { return Ok(last) };
        if let Some(index) = self.named(target, self.all.len()) {
            return Ok(index);
        }
        if let Some(index) = target.parse::<usize>().ok().filter(|index| *index <= last) {
            return Ok(index);
        }
        let names: Vec<&str> = self.names().collect();
        let unknown = error("unknown-target", format!("target stage \"{target}\" could not be found"));
        let unknown = match suggest::nearest(target, names.iter().copied()) {
            Some(meant) => unknown.with_suggestion(Some(meant)),
            None if names.is_empty() => unknown.with_help("no stage of this Dockerfile has a name"),
            None => unknown.with_help(format!("the stages are: {}", names.join(", "))),
        };
        Err(Box::new(unknown))
    }

    /// Whether the cache is not to answer for this stage, by name or number.
    pub fn is_uncached(&self, index: usize) -> bool {
        let wanted = &self.options.no_cache_stages;
        let named = self.all.get(index).and_then(|stage| stage.source.from.name.as_ref());
        wanted.iter().any(|wanted| {
            named.is_some_and(|name| name.value.eq_ignore_ascii_case(wanted)) || *wanted == index.to_string()
        })
    }

    /// Marks the stages that `target` needs, itself included.
    pub fn mark_needed(&mut self, target: usize) {
        let mut pending = vec![target];
        while let Some(index) = pending.pop() {
            if !std::mem::replace(&mut self.all[index].needed, true) {
                pending.extend(self.origins(index).filter_map(|origin| match origin {
                    Origin::Stage(stage) => Some(stage),
                    Origin::Scratch | Origin::Image(_) | Origin::Files { .. } => None,
                }));
            }
        }
    }

    /// Marks all stages.
    pub fn mark_all_needed(&mut self) {
        self.all.iter_mut().for_each(|stage| stage.needed = true);
    }

    /// Marks what the stages that are marked already need by now: their triggers may have come later.
    pub fn mark_needed_again(&mut self) {
        let needed: Vec<usize> = (0..self.len()).filter(|index| self.is_needed(*index)).collect();
        for index in &needed {
            self.all[*index].needed = false;
        }
        for index in needed {
            self.mark_needed(index);
        }
    }

    /// Everything that the stage takes files from.
    pub fn origins(&self, index: usize) -> impl Iterator<Item = Origin> {
        let stage = &self.all[index];
        let instructions = stage.triggers.iter().chain(stage.instructions());
        let named = instructions.flat_map(named_sources);
        let named = named.filter_map(move |from| self.named_origin(index, from).ok());
        stage.origin.iter().cloned().chain(named)
    }

    /// What is wrong with the FROM of a stage.
    pub fn findings(&self, index: usize) -> impl Iterator<Item = Diagnostic> {
        let stage = &self.all[index];
        stage.warnings.iter().cloned().chain(stage.origin.as_ref().err().map(|error| (**error).clone()))
    }

    /// What a COPY in stage `index` takes its files from; `None` is the context.
    pub fn copy_origin(&self, index: usize, copy: &Copy) -> Checked<Option<Origin>> {
        copy.from.as_ref().map(|from| self.named_origin(index, from)).transpose()
    }

    /// What `from` means in stage `index`, whether a COPY or a mount says it.
    pub fn named_origin(&self, index: usize, from: &Word) -> Checked<Origin> {
        let expanded = self
            .globals
            .lex
            .expand_word(&from.value, &Environment::default())
            .map_err(|error| expansion_failed(from, &error))?;
        let error = |code, message: String| Box::new(Diagnostic::error(code, message, from.span));
        if from.value.contains('$') {
            let help = "define a stage with `FROM $NAME AS name`, with ARG NAME before the first FROM, and copy from that";
            let refused = error("variable-in-from", "variables are not expanded in --from".to_owned());
            return Err(Box::new(refused.with_help(help)));
        }
        let name = expanded.value;
        let found = self.named(&name, index).or_else(|| self.named(&name, self.len()));
        let found = found.or_else(|| name.parse::<usize>().ok());
        let replaced = found.and_then(|stage| self.all.get(stage)).filter(|stage| stage.replaced);
        if let Some(stage) = replaced {
            // A context is there from the beginning, wherever the stage stands.
            return stage.origin.clone();
        }
        match found {
            Some(stage) if stage < index => Ok(Origin::Stage(stage)),
            Some(stage) if stage == index => {
                Err(error("circular-dependency", format!("stage \"{name}\" takes files from itself")))
            }
            Some(stage) if stage < self.len() => {
                let message =
                    format!("cannot take files from stage \"{name}\": it is defined later in the file");
                Err(Box::new(
                    error("forward-reference", message).with_help("move that stage before this one"),
                ))
            }
            Some(stage) => {
                let count =
                    if self.len() == 1 { "1 stage".to_owned() } else { format!("{} stages", self.len()) };
                let message = format!("invalid stage index {stage}: the file has {count}, counted from 0");
                Err(error("unknown-stage", message))
            }
            None if name.is_empty() => Err(error("empty-from", "--from is empty".to_owned())),
            None => Ok(self.outside(name, &self.target_platform)),
        }
    }

    /// What a name stands for that no stage has.
    fn outside(&self, name: String, platform: &Platform) -> Origin {
        if name == SCRATCH {
            return Origin::Scratch;
        }
        contexts::find(self.options, &name, platform).unwrap_or_else(|| {
            Origin::Image(BaseRequest { reference: name, platform: platform.to_string(), layout: None })
        })
    }

    /// What a named context puts in place of a stage.
    fn replacement(&self, source: &instruction::Stage, platform: &Platform) -> Option<Origin> {
        let name = source.from.name.as_ref()?;
        contexts::find(self.options, &name.value.to_lowercase(), platform)
    }

    fn platform_of(
        &self,
        source: &instruction::Stage,
        platforms: &Platforms,
        warnings: &mut Vec<Diagnostic>,
    ) -> Checked<Platform> {
        let Some(word) = &source.from.platform else { return Ok(platforms.target.clone()) };
        let mut found = self.globals.expand_from(word)?;
        warnings.append(&mut found.warnings);
        warnings.extend(rules::platform_flag(source, word, &found, platforms, self.globals));
        let text = found.value;
        let error = |message: String| Box::new(Diagnostic::error("invalid-platform", message, word.span));
        if text.is_empty() {
            return Err(error(format!("empty platform value from expression {}", word.value)));
        }
        Platform::parse(&text, Some(&platforms.build)).map_err(|cause| error(cause.to_string()))
    }

    /// What a FROM names.
    fn base_of(&self, source: &instruction::Stage, warnings: &mut Vec<Diagnostic>) -> Checked<String> {
        let base = &source.from.base;
        warnings.extend(rules::default_base(base, self.globals));
        let FromWord { value: name, warnings: found, .. } = self.globals.expand_from(base)?;
        warnings.extend(found);
        if name.is_empty() {
            let message = format!("base name ({}) should not be blank", base.value);
            let blank = Diagnostic::error("blank-base", message, base.span)
                .with_help("give the ARG a default before the first FROM, or set it with --build-arg");
            return Err(Box::new(blank));
        }
        Ok(name)
    }

    fn origin_of(&self, name: String, platform: &Platform) -> Origin {
        let earlier = self.all.len();
        let index = name.parse::<usize>().ok().filter(|index| *index < earlier);
        match self.named(&name, earlier).or(index) {
            Some(stage) => Origin::Stage(stage),
            None => self.outside(name, platform),
        }
    }

    /// The last stage of that name before stage `before`.
    fn named(&self, name: &str, before: usize) -> Option<usize> {
        let stages = self.all.get(..before)?;
        stages.iter().rposition(|stage| {
            stage.source.from.name.as_ref().is_some_and(|known| known.value.eq_ignore_ascii_case(name))
        })
    }
}

/// The words with which an instruction names stages and images that it takes files from.
pub(super) fn named_sources(instruction: &Instruction) -> Vec<&Word> {
    match &instruction.command {
        Command::Copy(copy) => copy.from.iter().collect(),
        Command::Run(run) => run.mounts.iter().filter_map(mounts::named_source).collect(),
        _ => Vec::new(),
    }
}
