//! Limits of what a process may use: how they are written, and the one way to write several of them down.
//!
//! The names and the way of writing are docker's; the numbers are the kernel's, whose meaning getrlimit(2) tells. Setting them is the
//! sandbox's part. Read from flags and clients' attributes by the callers of the lowering.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The limits that docker knows.
const NAMES: [&str; 15] = [
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

/// The one that docker leaves out and graphs of clients may have.
const ADDRESS_SPACE: &str = "as";

/// The one that the start of a command needs some of.
const OPEN_FILES: &str = "nofile";

/// How a limit that does not limit is written.
const UNLIMITED: i64 = -1;

/// One limit of a process and of what it starts, each for itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ulimit {
    /// What is limited: the end of the kernel's name for it, in small letters (`nofile`).
    pub name: String,
    /// What holds until the process says otherwise; `None` is unlimited. Never above [`hard`](Self::hard).
    pub soft: Option<u64>,
    /// How far it may raise that; `None` is unlimited.
    pub hard: Option<u64>,
}

/// Why something is no limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UlimitError {
    /// It is not written as one.
    #[error("`{text}` is not NAME=SOFT[:HARD], as nofile=1024:2048 is")]
    Form {
        /// As it was given.
        text: String,
    },
    /// Nothing of that name can be limited.
    #[error("`{name}` is the name of no limit; there are {}", NAMES.join(", "))]
    Name {
        /// As it was given.
        name: String,
    },
    /// A value is no number.
    #[error("`{value}` is no value of the limit {name}: it is a whole number, or -1 for unlimited")]
    Number {
        /// Of which limit.
        name: String,
        /// As it was given.
        value: String,
    },
    /// Nothing can be started under it.
    #[error(
        "the soft limit of nofile is 0: a command that may open no file cannot be started; give 1 or more"
    )]
    NoFiles,
    /// The soft limit is above the hard one.
    #[error("the soft limit of {name} is {soft}, above its hard limit {hard}")]
    Order {
        /// Of which limit.
        name: String,
        /// The soft limit, in words.
        soft: String,
        /// The hard limit.
        hard: i64,
    },
}

impl Ulimit {
    /// A limit of these values, -1 being unlimited.
    pub fn new(name: &str, soft: i64, hard: i64) -> Result<Self, UlimitError> {
        if name != ADDRESS_SPACE && !NAMES.contains(&name) {
            return Err(UlimitError::Name { name: name.to_owned() });
        }
        let value = |number: i64| match u64::try_from(number) {
            Ok(value) => Ok(Some(value)),
            Err(_) if number == UNLIMITED => Ok(None),
            Err(_) => Err(UlimitError::Number { name: name.to_owned(), value: number.to_string() }),
        };
        let limit = Self { name: name.to_owned(), soft: value(soft)?, hard: value(hard)? };
        let is_above = limit.hard.is_some_and(|hard| limit.soft.is_none_or(|soft| soft > hard));
        if is_above {
            let soft = limit.soft.map_or_else(|| "-1 (unlimited)".to_owned(), |soft| soft.to_string());
            return Err(UlimitError::Order { name: limit.name, soft, hard });
        }
        if limit.name == OPEN_FILES && limit.soft == Some(0) {
            return Err(UlimitError::NoFiles);
        }
        Ok(limit)
    }

    /// The same limits in the only order: by name, one of each. Of several the last counts.
    pub fn in_order(limits: impl IntoIterator<Item = Self>) -> Vec<Self> {
        let by_name: BTreeMap<String, Self> =
            limits.into_iter().map(|limit| (limit.name.clone(), limit)).collect();
        by_name.into_values().collect()
    }

    /// `SOFT:HARD`.
    pub fn values(&self) -> String {
        let text =
            |value: Option<u64>| value.map_or_else(|| UNLIMITED.to_string(), |value| value.to_string());
        format!("{}:{}", text(self.soft), text(self.hard))
    }
}

impl FromStr for Ulimit {
    type Err = UlimitError;

    /// `NAME=SOFT[:HARD]`; without a hard limit, it is the soft one.
    fn from_str(text: &str) -> Result<Self, UlimitError> {
        let form = || UlimitError::Form { text: text.to_owned() };
        let (name, values) = text.split_once('=').ok_or_else(form)?;
        if !NAMES.contains(&name) {
            return Err(UlimitError::Name { name: name.to_owned() });
        }
        let (soft, hard) = values.split_once(':').unwrap_or((values, values));
        if values.is_empty() || hard.contains(':') {
            return Err(form());
        }
        Self::new(name, number(name, soft)?, number(name, hard)?)
    }
}

fn number(name: &str, value: &str) -> Result<i64, UlimitError> {
    value.parse().map_err(|_| UlimitError::Number { name: name.to_owned(), value: value.to_owned() })
}

impl fmt::Display for Ulimit {
    /// As a person writes it, with both values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.values())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, String> {
        text.parse::<Ulimit>().map(|limit| limit.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn limits_in_dockers_spellings() {
        for (text, expected) in [
            ("nofile=1024:2048", "nofile=1024:2048"),
            ("nofile=1024", "nofile=1024:1024"),
            ("core=0", "core=0:0"),
            ("stack=-1", "stack=-1:-1"),
            ("cpu=5:-1", "cpu=5:-1"),
            ("rss=+7:08", "rss=7:8"),
            ("data=9223372036854775807", "data=9223372036854775807:9223372036854775807"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(expected), "{text}");
        }
        for name in NAMES {
            assert!(read(&format!("{name}=1")).is_ok(), "{name}");
        }
    }

    #[test]
    fn what_is_no_limit_is_named() {
        for (text, said) in [
            ("nofile", "`nofile` is not NAME=SOFT[:HARD]"),
            ("nofile=", "`nofile=` is not NAME=SOFT[:HARD]"),
            ("nofile=1:2:3", "`nofile=1:2:3` is not NAME=SOFT[:HARD]"),
            ("", "`` is not NAME=SOFT[:HARD]"),
            ("=1", "`` is the name of no limit; there are core, cpu, data"),
            ("NOFILE=1", "`NOFILE` is the name of no limit"),
            ("as=1", "`as` is the name of no limit"),
            ("nofile=many", "`many` is no value of the limit nofile"),
            ("nofile= 1", "` 1` is no value of the limit nofile"),
            ("nofile=1:", "`` is no value of the limit nofile"),
            ("nofile=-2", "`-2` is no value of the limit nofile"),
            ("nofile=9223372036854775808", "`9223372036854775808` is no value"),
            ("nofile=0", "the soft limit of nofile is 0"),
            ("nofile=2:1", "the soft limit of nofile is 2, above its hard limit 1"),
            ("nofile=-1:1", "the soft limit of nofile is -1 (unlimited), above its hard limit 1"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.starts_with(said), "{text}: {error}");
        }
    }

    #[test]
    fn graphs_may_limit_what_docker_does_not() {
        assert_eq!(Ulimit::new("as", 1, 2).unwrap().values(), "1:2");
        assert!(matches!(Ulimit::new("AS", 1, 2), Err(UlimitError::Name { .. })));
        assert!(matches!(Ulimit::new("as", 1, -2), Err(UlimitError::Number { .. })));
    }

    #[test]
    fn of_several_the_last_counts_and_their_order_is_one() {
        let limits = |texts: &[&str]| {
            Ulimit::in_order(texts.iter().map(|text| text.parse::<Ulimit>().unwrap()).collect::<Vec<_>>())
        };
        let texts: Vec<String> =
            limits(&["nproc=7", "nofile=1", "core=0", "nofile=2:3"]).iter().map(Ulimit::to_string).collect();
        assert_eq!(texts, ["core=0:0", "nofile=2:3", "nproc=7:7"]);
        assert_eq!(
            limits(&["nofile=2:3", "nproc=7", "core=0"]),
            limits(&["core=0", "nproc=7", "nofile=2:3"])
        );
    }
}
