//! Lowering: a parsed Dockerfile becomes a [`Plan`].
//!
//! Here the instructions get their meaning: which stages the target needs, what each variable is worth where,
//! what a container of the image starts with, and which operations make its files. The parser has found
//! the mistakes of form; the lowering finds those of meaning, as diagnostics of the same kind. Base images are
//! asked for through [`ResolveBase`]; files are never looked at: that is the builder's.
//!
//! The way through: `scope` (variables) → `stages` (who needs whom) → `bases` and `onbuild` (what the base
//! images bring) → `stage`, one instruction at a time (`run`, `copy`, `config`, …) → `assembly` (the graph).

mod assembly;
mod bases;
mod config;
mod context_files;
mod contexts;
mod copy;
mod device;
mod epoch;
mod expose;
mod files;
mod gotext;
mod history;
mod mounts;
mod onbuild;
mod options;
mod outline;
mod platform;
mod remote;
mod rules;
mod run;
mod scope;
mod signal;
mod stage;
mod stages;
mod step;
mod unresolved;
mod workdir;

use kiln_parser::check::{BUILD_ARGUMENT, frontend};
use kiln_parser::instruction::Dockerfile;
use kiln_parser::span::Span;
use kiln_parser::{Checks, Diagnostic};

pub use contexts::{ContextNameError, NamedContext, context_name};
pub use options::LowerOptions;
pub use outline::{Argument, Outline, Parameter, outline};
pub use remote::{is_scp_like, source as remote_source, unescaped};

use crate::plan::{Plan, ResolveBase};
use assembly::{Assembly, Lines};
use platform::Platform;
use rules::Ignored;
use scope::Globals;
use stage::{Build, StageState};
use stages::Stages;

/// The build argument that names a frontend in place of `# syntax=`.
const FRONTEND: &str = "BUILDKIT_SYNTAX";

/// What [`lower`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lowered {
    /// The plan; `None` when a diagnostic is an error.
    pub plan: Option<Plan>,
    /// The mistakes and warnings, in the order in which they were found.
    pub diagnostics: Vec<Diagnostic>,
}

/// A result whose error is for the author of the Dockerfile.
type Checked<T> = Result<T, Box<Diagnostic>>;

/// Makes the plan for the options' target.
///
/// `source` is the text that `dockerfile` was parsed from: the places in the plan are places in it. Never
/// panics, whatever the text says.
pub fn lower(
    source: &str,
    dockerfile: &Dockerfile,
    options: &LowerOptions,
    bases: &dyn ResolveBase,
) -> Lowered {
    let mut diagnostics = Vec::new();
    let plan = match try_lower(source, dockerfile, options, bases, &mut diagnostics) {
        Ok(plan) => Some(plan),
        Err(diagnostic) => {
            diagnostics.extend(diagnostic.map(|diagnostic| *diagnostic));
            None
        }
    };
    if !diagnostics.is_empty() {
        let instead = options.build_args.get(BUILD_ARGUMENT).map(String::as_str);
        diagnostics = Checks::new(source, instead).apply(diagnostics);
    }
    let plan = plan.filter(|_| !diagnostics.iter().any(Diagnostic::is_error));
    Lowered { plan, diagnostics }
}

/// The error is `None` when what stopped the lowering stands among the diagnostics already.
fn try_lower(
    source: &str,
    dockerfile: &Dockerfile,
    options: &LowerOptions,
    bases: &dyn ResolveBase,
    diagnostics: &mut Vec<Diagnostic>,
) -> Result<Plan, Option<Box<Diagnostic>>> {
    let platforms = platforms(options)?;
    diagnostics.extend(options.build_args.get(FRONTEND).and_then(|name| frontend(name, Span::default())));
    let globals = Globals::new(dockerfile, options, &platforms, diagnostics);
    let epoch = epoch::epoch(dockerfile, &globals, options)?;
    let mut stages = Stages::new(dockerfile, &globals, &platforms, options);
    let target = stages.find_target(options.target.as_deref())?;
    if options.check && options.target.is_none() {
        stages.mark_all_needed();
    } else {
        stages.mark_needed(target);
    }
    let resolved = bases::resolve(&mut stages, bases, options.check, diagnostics);
    if diagnostics.iter().any(Diagnostic::is_error) {
        return Err(None);
    }
    let lines = Lines::new(source);
    let ignored = Ignored::new(&options.ignore);
    let build = Build {
        lines: &lines,
        options,
        globals: &globals,
        stages: &stages,
        resolved: &resolved,
        ignored: ignored.as_ref(),
    };
    let mut assembly = Assembly::default();
    let mut done = Vec::new();
    for index in 0..stages.len() {
        let state =
            stages.is_needed(index).then(|| build.lower_stage(index, &done, &mut assembly, diagnostics));
        if assembly.is_too_large() {
            return Err(Some(too_large(stages.get(index).source.from.span)));
        }
        done.push(state.flatten());
    }
    let unused = scope::unused_build_args(dockerfile, &stages, options);
    diagnostics.extend(unused);
    diagnostics.extend(contexts::unused(dockerfile, &stages, options));
    let Some(state) = done.get_mut(target).and_then(Option::take) else { return Err(None) };
    let mut plan = finish(state, assembly, options, &platforms)?;
    if let Some(epoch) = epoch {
        epoch::date(&mut plan.config.history, epoch);
    }
    Ok(plan)
}

fn too_large(from: Span) -> Box<Diagnostic> {
    let message =
        "the environments and histories of all steps come to more than 256 MiB by the end of this stage";
    let error = Diagnostic::error("too-large", message, from);
    Box::new(error.with_help("set fewer variables, or make fewer steps and stages with them"))
}

/// Where a build runs and what it builds for.
struct Platforms {
    target: Platform,
    build: Platform,
}

fn platforms(options: &LowerOptions) -> Checked<Platforms> {
    let parse = |text: &str, host: Option<&Platform>| {
        Platform::parse(text, host).map_err(|error| {
            Box::new(Diagnostic::error("invalid-platform", error.to_string(), Span::default()))
        })
    };
    let build = parse(&options.build_platform, None)?;
    let target = parse(&options.platform, Some(&build))?;
    Ok(Platforms { target, build })
}

fn finish(
    state: StageState,
    assembly: Assembly,
    options: &LowerOptions,
    platforms: &Platforms,
) -> Result<Plan, Option<Box<Diagnostic>>> {
    let StageState { vertex, mut config, .. } = state;
    if !options.platform_is_default || config.os.is_empty() || config.architecture.is_empty() {
        bases::set_platform(&mut config, &platforms.target);
    }
    let variant = config.variant.as_deref().unwrap_or_default();
    let platform = Platform::normal(&config.os, &config.architecture, variant).to_string();
    config.config.labels.extend(options.labels.iter().cloned());
    config.created = None;
    config.rootfs = crate::image::RootFs::default();
    let graph = assembly.finish().map_err(|()| {
        Box::new(Diagnostic::error("too-many-steps", "the build has too many steps", Span::default()))
    })?;
    Ok(Plan { graph, target: vertex, config, platform })
}
