//! The parameters of a target: its build arguments with their values, and the secrets and agents that it mounts.
//!
//! For callers that list what a build can be given. Bases are not asked for: an argument's default that uses the
//! environment of a base is shown without it. Source of the meaning: the reference of `docker build --call=outline`.

use std::collections::{BTreeMap, BTreeSet};

use kiln_parser::Diagnostic;
use kiln_parser::expand::Lookup;
use kiln_parser::instruction::{ArgDeclaration, Command, Dockerfile, KeyValue, Mount, MountKind, Word};
use kiln_parser::span::Span;

use super::options::LowerOptions;
use super::scope::{Environment, Globals};
use super::stages::{Origin, Stages};
use super::{Checked, platforms};

/// The id of an SSH agent when a mount names none.
const DEFAULT_AGENT: &str = "default";

/// What a target can be given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outline {
    /// The index of the target's stage.
    pub stage: usize,
    /// Build arguments, in the order of their places.
    pub args: Vec<Argument>,
    /// Secrets.
    pub secrets: Vec<Parameter>,
    /// SSH agents.
    pub ssh: Vec<Parameter>,
    /// Cache mounts.
    pub caches: Vec<Parameter>,
}

/// A build argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argument {
    /// Its name.
    pub name: String,
    /// What it is worth in this build; empty when it has no value.
    pub value: String,
    /// The ARG that gives it this value.
    pub span: Span,
}

/// Something that a RUN mounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Its id.
    pub id: String,
    /// Whether the step fails without it.
    pub required: bool,
    /// The RUN that mounts it first.
    pub span: Span,
}

/// Lists the parameters of the options' target.
pub fn outline(dockerfile: &Dockerfile, options: &LowerOptions) -> Result<Outline, Box<Diagnostic>> {
    let platforms = platforms(options)?;
    let mut found = Vec::new();
    let globals = Globals::new(dockerfile, options, &platforms, &mut found);
    if let Some(error) = found.into_iter().find(Diagnostic::is_error) {
        return Err(Box::new(error));
    }
    let mut stages = Stages::new(dockerfile, &globals, &platforms, options);
    let target = stages.find_target(options.target.as_deref())?;
    stages.mark_needed(target);
    let mut survey = Survey { dockerfile, options, globals: &globals, all: Vec::new() };
    for index in 0..=target {
        let seen = if stages.is_needed(index) { survey.stage(&stages, index)? } else { Seen::default() };
        survey.all.push(seen);
    }
    Ok(survey.finish(target))
}

/// What was found in one stage.
#[derive(Default)]
struct Seen {
    environment: Environment,
    args: BTreeMap<String, Argument>,
    mounts: Vec<(MountKind, Parameter)>,
}

struct Survey<'s> {
    dockerfile: &'s Dockerfile,
    options: &'s LowerOptions,
    globals: &'s Globals,
    /// The stages before this one.
    all: Vec<Seen>,
}

impl Survey<'_> {
    fn stage(&self, stages: &Stages<'_>, index: usize) -> Checked<Seen> {
        let stage = stages.get(index);
        let mut seen = Seen::default();
        if let Origin::Stage(base) = stage.origin.clone()?
            && let Some(base) = self.all.get(base)
        {
            seen.environment = base.environment.clone();
        }
        let from = &stage.source.from;
        // What a named context stands for is not taken from the FROM.
        for word in from.platform.iter().chain([&from.base]).filter(|_| !stage.replaced) {
            self.global_args(&self.globals.expand_from(word)?.used, &mut seen.args);
        }
        for instruction in stage.instructions() {
            match &instruction.command {
                Command::Arg(declarations) => {
                    for declaration in declarations {
                        self.arg(declaration, instruction.span, &mut seen);
                    }
                }
                Command::Env(pairs) => self.env(pairs, &mut seen),
                Command::Run(run) => {
                    let mounts = run.mounts.iter();
                    let found = mounts.filter_map(|mount| self.mount(mount, instruction.span, &seen));
                    let found: Vec<_> = found.collect();
                    seen.mounts.extend(found);
                }
                _ => {}
            }
        }
        Ok(seen)
    }

    /// Arguments of the global scope that are used, and those that their defaults use.
    fn global_args(&self, names: &[String], args: &mut BTreeMap<String, Argument>) {
        let mut pending: Vec<String> = names.to_vec();
        let mut visited = BTreeSet::new();
        while let Some(name) = pending.pop() {
            if !visited.insert(name.clone()) {
                continue;
            }
            let mut declared = self.dockerfile.global_args.iter().rev();
            let Some((declaration, span)) = declared.find(|(declaration, _)| declaration.name.value == name)
            else {
                continue;
            };
            if let Some(default) = declaration.default.as_ref().filter(|_| !self.is_given(&name)) {
                let expanded = self.globals.lex.expand_word(&default.value, &self.globals.environment);
                pending.extend(expanded.into_iter().flat_map(|expanded| expanded.used));
            }
            let value = self.globals.environment.get(&name).unwrap_or_default().to_owned();
            args.insert(name.clone(), Argument { name, value, span: *span });
        }
    }

    fn is_given(&self, name: &str) -> bool {
        self.options.build_args.contains_key(name)
    }

    fn arg(&self, declaration: &ArgDeclaration, span: Span, seen: &mut Seen) {
        let name = &declaration.name.value;
        let inherited = declaration.default.is_none() && !self.is_given(name);
        if inherited && let Some(value) = self.globals.environment.get(name) {
            seen.environment.set(name, value);
            return self.global_args(std::slice::from_ref(name), &mut seen.args);
        }
        let given = self.options.build_args.get(name).cloned();
        let default = || declaration.default.as_ref().map(|default| self.expand(default, seen));
        let value = given.or_else(default);
        if let Some(value) = &value {
            seen.environment.set(name, value);
        }
        let argument = Argument { name: name.clone(), value: value.unwrap_or_default(), span };
        seen.args.insert(name.clone(), argument);
    }

    fn env(&self, pairs: &[KeyValue], seen: &mut Seen) {
        let pairs: Vec<(String, String)> =
            pairs.iter().map(|pair| (self.expand(&pair.key, seen), self.expand(&pair.value, seen))).collect();
        for (name, value) in pairs {
            seen.environment.set(&name, &value);
        }
    }

    fn mount(&self, mount: &Mount, span: Span, seen: &Seen) -> Option<(MountKind, Parameter)> {
        let mount = mount.settled(|word| Ok(self.expand(word, seen))).ok()?;
        let expanded = |word: &Option<Word>| word.as_ref().map(|word| self.expand(word, seen));
        let given = expanded(&mount.id).filter(|id| !id.is_empty());
        let target = || expanded(&mount.target).unwrap_or_default();
        let id = match mount.kind.value {
            MountKind::Secret => given.unwrap_or_else(|| {
                target().trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned()
            }),
            MountKind::Ssh => given.unwrap_or_else(|| DEFAULT_AGENT.to_owned()),
            MountKind::Cache => given.unwrap_or_else(target),
            MountKind::Bind | MountKind::Tmpfs => return None,
        };
        let required = mount.required.as_ref().is_some_and(|required| required.value);
        Some((mount.kind.value, Parameter { id, required, span }))
    }

    /// The word's value; one that cannot be expanded stays as written, for the build to complain about.
    fn expand(&self, word: &Word, seen: &Seen) -> String {
        let expanded = self.globals.lex.expand_word(&word.value, &seen.environment);
        expanded.map_or_else(|_| word.value.clone(), |expanded| expanded.value)
    }

    /// The target's own definitions win over those of the stages that it needs.
    fn finish(self, target: usize) -> Outline {
        let mut args = BTreeMap::new();
        let mut outline = Outline { stage: target, ..Outline::default() };
        for seen in self.all.into_iter().rev() {
            for (name, argument) in seen.args {
                args.entry(name).or_insert(argument);
            }
            for (kind, parameter) in seen.mounts {
                let list = match kind {
                    MountKind::Secret => &mut outline.secrets,
                    MountKind::Ssh => &mut outline.ssh,
                    _ => &mut outline.caches,
                };
                merge(list, parameter);
            }
        }
        outline.args = args.into_values().collect();
        outline.args.sort_by_key(|argument| argument.span.start);
        for list in [&mut outline.secrets, &mut outline.ssh, &mut outline.caches] {
            list.sort_by_key(|parameter| parameter.span.start);
        }
        outline
    }
}

/// Adds `parameter`, each id once: at its first place, and required if any RUN requires it.
fn merge(list: &mut Vec<Parameter>, parameter: Parameter) {
    match list.iter_mut().find(|known| known.id == parameter.id) {
        Some(known) => {
            known.required |= parameter.required;
            known.span = known.span.min(parameter.span);
        }
        None => list.push(parameter),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn of(source: &str, target: Option<&str>, given: &[(&str, &str)]) -> Outline {
        let build_args = given.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        let target = target.map(str::to_owned);
        let options = LowerOptions { target, build_args, ..LowerOptions::default() };
        outline(&kiln_parser::parse(source).dockerfile, &options).unwrap()
    }

    fn args(outline: &Outline) -> String {
        let args = outline.args.iter().map(|arg| format!("{}={}", arg.name, arg.value));
        args.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_arguments_of_the_stages_that_the_target_needs() {
        let source = "ARG OS=debian\nARG TAG=12\nARG BASE=$OS:$TAG\nARG UNUSED=1\n\
                      FROM $BASE AS base\nARG TAG\nARG A=${TAG}a\nENV E=$A\n\
                      FROM scratch AS other\nARG O\n\
                      FROM base\nARG B=$E\nARG C\n";
        assert_eq!(args(&of(source, None, &[])), "OS=debian TAG=12 BASE=debian:12 A=12a B=12a C=");
        assert_eq!(args(&of(source, Some("other"), &[])), "O=");
        let given = [("BASE", "x"), ("C", "c"), ("A", "a")];
        assert_eq!(args(&of(source, None, &given)), "TAG=12 BASE=x A=a B=a C=c");
        assert_eq!(of(source, Some("base"), &[]).stage, 0);
    }

    #[test]
    fn the_mounts_of_the_stages_that_the_target_needs() {
        let source = "FROM scratch AS a\nRUN --mount=type=secret,id=one --mount=type=ssh x\n\
                      FROM scratch\nARG D=/c\nCOPY --from=a / /\n\
                      RUN --mount=type=secret,id=one,required --mount=type=secret,target=/run/two \
                      --mount=type=cache,target=$D --mount=type=ssh,id=k,required=true x\n";
        let outline = of(source, None, &[]);
        let shown = |list: &[Parameter]| {
            let list = list.iter().map(|one| format!("{}{}", one.id, if one.required { "!" } else { "" }));
            list.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(shown(&outline.secrets), "one! two");
        assert_eq!(shown(&outline.ssh), "default k!");
        assert_eq!(shown(&outline.caches), "/c");
    }

    #[test]
    fn mistakes_are_diagnostics() {
        let parsed = kiln_parser::parse("ARG A=${B:?gone}\nFROM a\n");
        assert!(outline(&parsed.dockerfile, &LowerOptions::default()).is_err());
        let unknown = LowerOptions { target: Some("x".to_owned()), ..LowerOptions::default() };
        assert!(outline(&kiln_parser::parse("FROM a").dockerfile, &unknown).is_err());
    }
}
