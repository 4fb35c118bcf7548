//! Variables: the global scope before the first FROM, the scope of a stage, and what expands in them.
//!
//! Source of the rules: the Dockerfile reference ("Scope", "Predefined ARGs", "Automatic platform ARGs") and
//! BuildKit's behaviour where it is silent.

use std::collections::BTreeSet;

use kiln_parser::Diagnostic;
use kiln_parser::expand::{ExpandError, Expanded, Lex, Lookup};
use kiln_parser::instruction::{ArgDeclaration, Command, Dockerfile, Instruction, Word};
use kiln_parser::span::Span;
use kiln_parser::suggest;

use super::epoch::SOURCE_DATE_EPOCH;
use super::options::LowerOptions;
use super::stages::Stages;
use super::{Checked, Platforms};

/// Proxy variables: a RUN sees them without ARG, and neither its key nor the history does.
const PROXIES: [&str; 5] = ["HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"];

/// Build arguments that are for the builder, and count as used without ARG.
const FOR_THE_BUILDER: &[&str] = &[SOURCE_DATE_EPOCH];

/// The prefix of the other build arguments that are for the builder.
const BUILDER_PREFIX: &str = "BUILDKIT_";

/// Variables in order, each name once; one that is set again moves to the end, as in BuildKit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Environment {
    variables: Vec<(String, String)>,
}

impl Environment {
    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.variables.iter().map(|(name, _)| name.as_str())
    }

    pub fn pairs(&self) -> &[(String, String)] {
        &self.variables
    }
}

impl Lookup for Environment {
    fn get(&self, name: &str) -> Option<&str> {
        self.variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// What a word of a FROM expanded to.
#[derive(Debug, Default)]
pub(super) struct FromWord {
    pub value: String,
    /// Variables that are set.
    pub used: Vec<String>,
    /// Variables that are not.
    pub unset: Vec<String>,
    /// To be given only if the stage is needed.
    pub warnings: Vec<Diagnostic>,
}

/// The global scope.
pub(super) struct Globals {
    pub environment: Environment,
    /// What it would be without build arguments; `None` where that cannot be said.
    pub defaults: Option<Environment>,
    pub lex: Lex,
    /// Names that a FROM may use, with or without a value.
    declared: BTreeSet<String>,
}

impl Globals {
    /// Evaluates the ARGs before the first FROM, on top of the platform variables.
    pub fn new(
        dockerfile: &Dockerfile,
        options: &LowerOptions,
        platforms: &Platforms,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Self {
        let lex = Lex::new(dockerfile.escape());
        let mut environment = automatic(dockerfile, options, platforms);
        let defaults = defaults(dockerfile, lex, environment.clone());
        let mut declared: BTreeSet<String> = environment.names().map(str::to_owned).collect();
        for (declaration, _) in &dockerfile.global_args {
            let name = &declaration.name.value;
            match global_value(declaration, options, lex, &environment) {
                Ok(Some(value)) => environment.set(name, &value),
                Ok(None) => {}
                Err(diagnostic) => diagnostics.push(*diagnostic),
            }
            declared.insert(name.clone());
        }
        Self { environment, defaults, lex, declared }
    }

    /// Expands a word of a FROM.
    pub fn expand_from(&self, word: &Word) -> Checked<FromWord> {
        let Expanded { value, unset, used } = self
            .lex
            .expand_word(&word.value, &self.environment)
            .map_err(|error| expansion_failed(word, &error))?;
        let undeclared = unset.iter().filter(|name| !self.declared.contains(*name));
        let warnings = undeclared.map(|name| self.undeclared_in_from(name, word.span)).collect();
        Ok(FromWord { value, used, unset, warnings })
    }

    fn undeclared_in_from(&self, name: &str, span: Span) -> Diagnostic {
        let meant = suggest::nearest(name, self.declared.iter().map(String::as_str));
        let meant = meant.map(|meant| format!(" (did you mean {meant}?)")).unwrap_or_default();
        let message = format!("FROM argument '{name}' is not declared{meant}");
        Diagnostic::warning("UndefinedArgInFrom", message, span)
            .with_help("only an ARG before the first FROM can be used in a FROM")
    }
}

fn automatic(dockerfile: &Dockerfile, options: &LowerOptions, platforms: &Platforms) -> Environment {
    let last = dockerfile.stages.last().and_then(|stage| stage.from.name.as_ref());
    let stage = options.target.clone().or_else(|| last.map(|name| name.value.clone()));
    let Platforms { target, build } = platforms;
    let defaults = [
        ("BUILDPLATFORM", build.to_string()),
        ("BUILDOS", build.os.clone()),
        ("BUILDOSVERSION", String::new()),
        ("BUILDARCH", build.arch.clone()),
        ("BUILDVARIANT", build.variant.clone()),
        ("TARGETPLATFORM", target.to_string()),
        ("TARGETOS", target.os.clone()),
        ("TARGETOSVERSION", String::new()),
        ("TARGETARCH", target.arch.clone()),
        ("TARGETVARIANT", target.variant.clone()),
        ("TARGETSTAGE", stage.unwrap_or_else(|| "default".to_owned())),
    ];
    let mut environment = Environment::default();
    for (name, value) in defaults {
        environment.set(name, options.build_args.get(name).unwrap_or(&value));
    }
    environment
}

/// The ARGs before the first FROM as they are without build arguments, on top of the platform variables.
fn defaults(dockerfile: &Dockerfile, lex: Lex, mut environment: Environment) -> Option<Environment> {
    for (declaration, _) in &dockerfile.global_args {
        let Some(default) = &declaration.default else { continue };
        let value = lex.expand_word(&default.value, &environment).ok()?.value;
        environment.set(&declaration.name.value, &value);
    }
    Some(environment)
}

fn global_value(
    declaration: &ArgDeclaration,
    options: &LowerOptions,
    lex: Lex,
    environment: &Environment,
) -> Checked<Option<String>> {
    if let Some(value) = options.build_args.get(&declaration.name.value) {
        return Ok(Some(value.clone()));
    }
    let Some(default) = &declaration.default else { return Ok(None) };
    let expanded =
        lex.expand_word(&default.value, environment).map_err(|error| expansion_failed(default, &error))?;
    Ok(Some(expanded.value))
}

/// The proxy variables of a RUN: both cases of each, except those that its environment has already.
pub(super) fn proxies(options: &LowerOptions, environment: &Environment) -> Vec<(String, String)> {
    let mut out = Vec::new();
    for proxy in PROXIES {
        // A list of names in two cases: the last one given wins, as in BuildKit.
        let mut given = options.build_args.iter().filter(|(name, _)| name.eq_ignore_ascii_case(proxy));
        let Some((_, value)) = given.next_back().filter(|(_, value)| !value.is_empty()) else { continue };
        for name in [proxy.to_owned(), proxy.to_lowercase()] {
            if environment.get(&name).is_none() {
                out.push((name, value.clone()));
            }
        }
    }
    out
}

/// Why `word` could not be expanded, at the place in it where the mistake is.
pub(super) fn expansion_failed(word: &Word, error: &ExpandError) -> Box<Diagnostic> {
    // Only where the word stands in the file byte for byte does a place in it say a place in the file.
    let verbatim = word.span.end.checked_sub(word.span.start) == Some(word.value.len());
    let inside = error.range.start <= error.range.end && error.range.end <= word.value.len();
    let span = if verbatim && inside {
        Span::new(word.span.start + error.range.start, word.span.start + error.range.end)
    } else {
        word.span
    };
    Box::new(Diagnostic::error("bad-substitution", error.message.clone(), span))
}

/// A warning that names the build arguments that no ARG declares.
pub(super) fn unused_build_args(
    dockerfile: &Dockerfile,
    stages: &Stages<'_>,
    options: &LowerOptions,
) -> Option<Diagnostic> {
    let mut declared: BTreeSet<&str> = BTreeSet::new();
    declared.extend(dockerfile.global_args.iter().map(|(declaration, _)| declaration.name.value.as_str()));
    let written = dockerfile.stages.iter().flat_map(|stage| &stage.instructions);
    for instruction in written.chain(stages.triggers()) {
        declared.extend(declared_by(instruction));
    }
    let automatic: Vec<&str> = stages.automatic_names().collect();
    let used = |name: &str| {
        declared.contains(name)
            || automatic.contains(&name)
            || FOR_THE_BUILDER.contains(&name)
            || name.starts_with(BUILDER_PREFIX)
            || PROXIES.iter().any(|proxy| proxy.eq_ignore_ascii_case(name))
    };
    let unused: Vec<&str> =
        options.build_args.keys().map(String::as_str).filter(|name| !used(name)).collect();
    if unused.is_empty() {
        return None;
    }
    let message = format!("[Warning] One or more build-args [{}] were not consumed", unused.join(" "));
    let warning = Diagnostic::warning("unused-build-arg", message, Span::default());
    let meant = unused.iter().find_map(|name| suggest::nearest(name, declared.iter().copied()));
    Some(warning.with_suggestion(meant))
}

fn declared_by(instruction: &Instruction) -> Vec<&str> {
    match &instruction.command {
        Command::Arg(declarations) => {
            declarations.iter().map(|declaration| declaration.name.value.as_str()).collect()
        }
        Command::Onbuild(onbuild) => declared_by(&onbuild.trigger),
        _ => Vec::new(),
    }
}
