//! The flags of an instruction, checked against those it knows and turned into their types.

use crate::diagnostic::Diagnostic;
use crate::instruction::Word;
use crate::span::Spanned;
use crate::suggest::nearest;
use crate::syntax::Flag;
use crate::text::Text;

/// A flag that an instruction knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rule {
    name: &'static str,
    takes: Takes,
}

/// What a flag takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takes {
    /// A value, once.
    Value,
    /// A value each time.
    Values,
    /// Nothing, `=true` or `=false`.
    Switch,
}

impl Rule {
    /// `--name=value`, once.
    pub const fn value(name: &'static str) -> Self {
        Self { name, takes: Takes::Value }
    }

    /// `--name=value`, as often as one likes.
    pub const fn values(name: &'static str) -> Self {
        Self { name, takes: Takes::Values }
    }

    /// `--name[=bool]`.
    pub const fn switch(name: &'static str) -> Self {
        Self { name, takes: Takes::Switch }
    }
}

/// The flags that were right.
pub(super) struct Flags<'n> {
    flags: Vec<&'n Flag>,
}

impl<'n> Flags<'n> {
    /// Keeps what `rules` allow; the rest goes to `found`.
    pub fn check(
        flags: &'n [Flag],
        rules: &'static [Rule],
        instruction: &str,
        found: &mut Vec<Diagnostic>,
    ) -> Self {
        let mut kept: Vec<&'n Flag> = Vec::new();
        let mut once: Vec<&'static str> = Vec::new();
        for flag in flags {
            match checked(flag, rules, instruction, &mut once) {
                Ok(()) => kept.push(flag),
                Err(diagnostic) => found.push(diagnostic),
            }
        }
        Self { flags: kept }
    }

    /// The text of a value flag.
    pub fn text(&self, name: &str) -> Option<&'n Text<'static>> {
        self.flag(name)?.value.as_ref()
    }

    /// The value of a value flag.
    pub fn word(&self, name: &str) -> Option<Word> {
        self.text(name).map(whole)
    }

    /// The flag itself, to point at.
    pub fn flag(&self, name: &str) -> Option<&'n Flag> {
        self.flags.iter().find(|flag| flag.name.value == name).copied()
    }

    /// Each value of a repeatable flag.
    pub fn words(&self, name: &str) -> Vec<Word> {
        self.all(name).filter_map(|flag| flag.value.as_ref()).map(whole).collect()
    }

    /// Each occurrence of a repeatable flag.
    pub fn all<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'n Flag> + 's {
        self.flags.iter().copied().filter(move |flag| flag.name.value == name)
    }

    /// The value of a switch; one without value is true.
    pub fn switch(&self, name: &str) -> Option<Spanned<bool>> {
        let flag = self.flag(name)?;
        let value = flag.value.as_ref().is_none_or(|value| value.as_str().eq_ignore_ascii_case("true"));
        Some(Spanned::new(value, flag.span))
    }
}

fn whole(text: &Text<'static>) -> Word {
    text.spanned(&(0..text.as_str().len()))
}

/// `once` are the flags so far that may not come again.
fn checked(
    flag: &Flag,
    rules: &[Rule],
    instruction: &str,
    once: &mut Vec<&'static str>,
) -> Result<(), Diagnostic> {
    let name = flag.name.value.as_str();
    let Some(rule) = rules.iter().find(|rule| rule.name == name) else {
        return Err(unknown(flag, rules, instruction));
    };
    if once.contains(&rule.name) {
        let message = format!("duplicate flag specified: {}", flag.dashed());
        return Err(Diagnostic::error("duplicate-flag", message, flag.span)
            .with_label(format!("{instruction} takes it once")));
    }
    if rule.takes != Takes::Values {
        once.push(rule.name);
    }
    let value = flag.value.as_ref().map(Text::as_str);
    match (rule.takes, value) {
        (Takes::Switch, Some("")) | (Takes::Value | Takes::Values, None) => {
            let message = format!("missing a value on flag: {}", flag.dashed());
            Err(Diagnostic::error("missing-flag-value", message, flag.span)
                .with_help(format!("write it as {}=…", flag.dashed())))
        }
        (Takes::Switch, Some(value)) if !is_bool(value) => {
            let message = format!("expecting boolean value for flag {}, not: {value}", flag.dashed());
            Err(Diagnostic::error("invalid-flag-value", message, flag.span).with_help("use true or false"))
        }
        _ => Ok(()),
    }
}

fn is_bool(value: &str) -> bool {
    value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false")
}

fn unknown(flag: &Flag, rules: &[Rule], instruction: &str) -> Diagnostic {
    let message = format!("unknown flag: {}", flag.dashed());
    let diagnostic = Diagnostic::error("unknown-flag", message, flag.span);
    let candidate = nearest(&flag.name.value, rules.iter().map(|rule| rule.name));
    match candidate {
        Some(candidate) => diagnostic.with_suggestion(Some(&format!("--{candidate}"))),
        None if rules.is_empty() => diagnostic
            .with_help(format!("{instruction} has no flags; `--` in front of the arguments ends the flags")),
        None => {
            let names: Vec<String> = rules.iter().map(|rule| format!("--{}", rule.name)).collect();
            diagnostic.with_help(format!("{instruction} knows {}", names.join(", ")))
        }
    }
}
