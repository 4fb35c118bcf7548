//! `skip=RULE,…|all;error=BOOL;experimental=RULE,…|all`

use std::collections::BTreeSet;

use super::rule::Rule;

/// The options of one `check`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Options {
    /// Rules that are not wanted.
    pub skip: Rules,
    /// Experimental rules that are.
    pub experimental: Rules,
    /// Whether a finding stops the build.
    pub errors: bool,
}

/// A set of rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Rules {
    All,
    Named(BTreeSet<String>),
}

impl Default for Rules {
    fn default() -> Self {
        Self::Named(BTreeSet::new())
    }
}

impl Rules {
    /// Whether `rule` is one of them.
    pub fn names(&self, rule: &str) -> bool {
        match self {
            Self::All => true,
            Self::Named(names) => names.contains(rule),
        }
    }

    /// The names that no rule has.
    pub fn unknown(&self) -> impl Iterator<Item = &str> {
        let names = match self {
            Self::All => None,
            Self::Named(names) => Some(names),
        };
        let names = names.into_iter().flatten().map(String::as_str);
        names.filter(|name| !name.is_empty() && Rule::named(name).is_none())
    }

    fn parse(value: &str) -> Self {
        match value.trim() {
            "all" => Self::All,
            names => Self::Named(names.split(',').map(|name| name.trim().to_owned()).collect()),
        }
    }
}

impl Options {
    /// Reads what stands behind `check=` in a comment, up to the first blank; the error is a sentence.
    pub fn of_comment(value: &str) -> Result<Self, String> {
        Self::parse(value.split(' ').next().unwrap_or_default())
    }

    /// Reads all of `value`.
    pub fn parse(value: &str) -> Result<Self, String> {
        let mut options = Self::default();
        let value = value.trim();
        for part in value.split(';').filter(|_| !value.is_empty()) {
            let (key, value) =
                part.split_once('=').ok_or_else(|| format!("invalid check option \"{part}\""))?;
            match key.trim() {
                "skip" => options.skip = Rules::parse(value),
                "experimental" => options.experimental = Rules::parse(value),
                "error" => options.errors = truth(value.trim()).ok_or_else(|| invalid(part))?,
                other => return Err(format!("invalid check option \"{other}\"")),
            }
        }
        Ok(options)
    }
}

fn invalid(part: &str) -> String {
    format!("failed to parse check option \"{part}\"")
}

/// The words that Go's `strconv.ParseBool` knows.
fn truth(value: &str) -> Option<bool> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{Options, Rules};

    #[test]
    fn options_are_read() {
        let options = Options::of_comment("skip=A, ignored").unwrap();
        assert!(options.skip.names("A") && !options.skip.names("ignored"));
        let options = Options::parse(" skip=A, B; error=true ").unwrap();
        assert!(options.skip.names("A") && options.skip.names("B") && options.errors);
        let options = Options::parse("skip=A,B;error=true;experimental=all").unwrap();
        assert!(options.skip.names("B") && !options.skip.names("C") && options.errors);
        assert_eq!(options.experimental, Rules::All);
        assert!(Options::parse("skip=all").unwrap().skip.names("anything"));
        assert_eq!(Options::parse(""), Ok(Options::default()));
    }

    #[test]
    fn wrong_options_are_named() {
        let cases = [("skip", "invalid check option \"skip\""), ("skp=A", "invalid check option \"skp\"")];
        let more = [("error=maybe", "failed to parse check option \"error=maybe\"")];
        for (value, message) in cases.into_iter().chain(more) {
            assert_eq!(Options::parse(value), Err(message.to_owned()), "{value}");
        }
    }
}
