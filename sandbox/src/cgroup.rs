//! Which control group hierarchies this machine has, from the text of `/proc/self/cgroup`. Pure.
//!
//! Version 2 alone, version 1, both side by side ("hybrid") and none at all occur in practice. [`crate::plan`] turns
//! the answer into read-only mounts below `/sys/fs/cgroup`. Limits are not set here.

/// What there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Layout {
    /// No control groups.
    None,
    /// Version 2 alone: one file system.
    Unified,
    /// Version 1: one file system for each hierarchy. With `unified`, version 2 beside them.
    Legacy { hierarchies: Vec<Hierarchy>, unified: bool },
}

/// A version 1 hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hierarchy {
    /// Its directory below `/sys/fs/cgroup`: `cpu,cpuacct`, or `systemd` for the named hierarchy `name=systemd`.
    pub(crate) directory: String,
    /// What selects it when it is mounted: its controllers, or `("name", "systemd")`.
    pub(crate) options: Vec<(String, Option<String>)>,
}

impl Layout {
    /// Reads lines of the form `number:controllers:path` (cgroups(7)). Version 2 is `0::path`.
    pub(crate) fn parse(text: &str) -> Layout {
        let controllers: Vec<&str> = text.lines().filter_map(|line| line.split(':').nth(1)).collect();
        let unified = controllers.contains(&"");
        let hierarchies: Vec<Hierarchy> =
            controllers.into_iter().filter(|names| !names.is_empty()).map(Hierarchy::new).collect();
        match (hierarchies.is_empty(), unified) {
            (true, true) => Layout::Unified,
            (true, false) => Layout::None,
            (false, unified) => Layout::Legacy { hierarchies, unified },
        }
    }
}

impl Hierarchy {
    fn new(controllers: &str) -> Hierarchy {
        let options = controllers.split(',').map(|option| match option.split_once('=') {
            Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
            None => (option.to_owned(), None),
        });
        Hierarchy {
            directory: controllers.strip_prefix("name=").unwrap_or(controllers).to_owned(),
            options: options.collect(),
        }
    }

    /// The controllers that need a link of their own because they share a hierarchy.
    pub(crate) fn aliases(&self) -> impl Iterator<Item = &str> {
        let shared = self.options.len() > 1;
        self.options.iter().filter(move |(_, value)| shared && value.is_none()).map(|(name, _)| name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_four_layouts_are_told_apart() {
        assert_eq!(Layout::parse(""), Layout::None);
        assert_eq!(Layout::parse("0::/user.slice\n"), Layout::Unified);
        let legacy = Layout::parse("4:memory:/\n1:name=systemd:/\n");
        assert!(matches!(&legacy, Layout::Legacy { hierarchies, unified: false } if hierarchies.len() == 2));
        let hybrid = Layout::parse("4:memory:/a/b:c\n0::/\n");
        assert!(matches!(&hybrid, Layout::Legacy { hierarchies, unified: true } if hierarchies.len() == 1));
    }

    #[test]
    fn hierarchies_carry_what_mounting_them_needs() {
        let shared = Hierarchy::new("cpu,cpuacct");
        assert_eq!(shared.directory, "cpu,cpuacct");
        assert_eq!(shared.options, [("cpu".to_owned(), None), ("cpuacct".to_owned(), None)]);
        assert_eq!(shared.aliases().collect::<Vec<_>>(), ["cpu", "cpuacct"]);
        let named = Hierarchy::new("name=systemd");
        assert_eq!(named.directory, "systemd");
        assert_eq!(named.options, [("name".to_owned(), Some("systemd".to_owned()))]);
        assert_eq!(named.aliases().count(), 0);
        assert_eq!(Hierarchy::new("memory").aliases().count(), 0);
    }
}
