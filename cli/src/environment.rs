//! The process's surroundings: arguments, environment variables, user, terminal.
//!
//! The only place that reads them, once, at the start; everything after works on this value, so tests can say
//! what the surroundings are. Called by `main`, used by every command.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use crate::flags::GlobalFlags;

/// What was found at the start.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, OsString>,
    is_root: bool,
}

/// The program's arguments, its name first.
pub fn arguments() -> Vec<OsString> {
    std::env::args_os().collect()
}

impl Environment {
    /// Reads the surroundings.
    pub fn read() -> Self {
        let named = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
        Self { variables: named.collect(), is_root: rustix::process::geteuid().is_root() }
    }

    /// An environment with these variables, for tests.
    #[cfg(test)]
    pub fn of(variables: &[(&str, &str)], is_root: bool) -> Self {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), OsString::from(value)));
        Self { variables: variables.collect(), is_root }
    }

    /// A variable's value, if it is set and is text.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).and_then(|value| value.to_str())
    }

    /// A variable's value as it is, if it is set.
    pub fn bytes(&self, name: &str) -> Option<&[u8]> {
        self.variables.get(name).map(|value| value.as_bytes())
    }

    /// The directory of the store: flag, KILN_ROOT, or the place where data belongs for this user.
    pub fn store_root(&self, flags: &GlobalFlags) -> Option<PathBuf> {
        let given = flags.root.clone().or_else(|| self.path("KILN_ROOT"));
        given.or_else(|| if self.is_root { Some(PathBuf::from("/var/lib/kiln")) } else { self.user_data() })
    }

    fn user_data(&self) -> Option<PathBuf> {
        // The specification of XDG_DATA_HOME says that a relative path is to be ignored.
        let data = self.path("XDG_DATA_HOME").filter(|path| path.is_absolute());
        let data = data.or_else(|| Some(self.path("HOME")?.join(".local/share")))?;
        Some(data.join("kiln"))
    }

    /// Docker's client configuration file, whether it exists or not.
    pub fn docker_config(&self, flags: &GlobalFlags) -> Option<PathBuf> {
        let directory = flags.config.clone().or_else(|| self.path("DOCKER_CONFIG"));
        let directory = directory.or_else(|| Some(self.path("HOME")?.join(".docker")))?;
        Some(directory.join("config.json"))
    }

    /// Registry hosts that may be spoken to insecurely: flags, then KILN_INSECURE_REGISTRIES (comma-separated).
    pub fn insecure_registries(&self, flags: &GlobalFlags) -> Vec<String> {
        let listed = self.variable("KILN_INSECURE_REGISTRIES").unwrap_or_default();
        let listed = listed.split(',').map(str::trim).filter(|host| !host.is_empty()).map(str::to_owned);
        flags.insecure_registry.iter().cloned().chain(listed).collect()
    }

    /// What the store is kept within while it is written to: KILN_KEEP_STORAGE.
    pub fn keep_storage(&self) -> Option<&str> {
        self.variable("KILN_KEEP_STORAGE").filter(|size| !size.is_empty())
    }

    /// The platform asked for by DOCKER_DEFAULT_PLATFORM, as docker honours it.
    pub fn default_platform(&self) -> Option<&str> {
        self.variable("DOCKER_DEFAULT_PLATFORM").filter(|platform| !platform.is_empty())
    }

    /// Where devices are described: KILN_CDI_DIRS (colon-separated, later ones win), or the usual directories.
    pub fn device_directories(&self) -> Vec<PathBuf> {
        match self.variables.get("KILN_CDI_DIRS").filter(|value| !value.is_empty()) {
            Some(listed) => {
                std::env::split_paths(listed).filter(|path| !path.as_os_str().is_empty()).collect()
            }
            None => ["/etc/cdi", "/var/run/cdi", "/etc/buildkit/cdi"].map(PathBuf::from).to_vec(),
        }
    }

    /// The kind of progress asked for by BUILDKIT_PROGRESS, as docker honours it.
    pub fn progress(&self) -> Option<&str> {
        self.variable("BUILDKIT_PROGRESS").filter(|kind| !kind.is_empty())
    }

    /// False when NO_COLOR is set or the terminal cannot do it.
    pub fn allows_color(&self) -> bool {
        self.variable("NO_COLOR").is_none_or(str::is_empty) && self.can_redraw()
    }

    /// False when the terminal cannot move its cursor.
    pub fn can_redraw(&self) -> bool {
        self.variable("TERM").is_some_and(|terminal| !terminal.is_empty() && terminal != "dumb")
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        self.variables.get(name).filter(|value| !value.is_empty()).map(PathBuf::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root_of(variables: &[(&str, &str)], is_root: bool) -> Option<PathBuf> {
        Environment::of(variables, is_root).store_root(&GlobalFlags::default())
    }

    #[test]
    fn the_store_is_where_the_user_says_or_where_data_belongs() {
        assert_eq!(root_of(&[], true), Some("/var/lib/kiln".into()));
        assert_eq!(root_of(&[("KILN_ROOT", "/k"), ("HOME", "/h")], true), Some("/k".into()));
        assert_eq!(root_of(&[("HOME", "/h")], false), Some("/h/.local/share/kiln".into()));
        assert_eq!(root_of(&[("HOME", "/h"), ("XDG_DATA_HOME", "/d")], false), Some("/d/kiln".into()));
        assert_eq!(
            root_of(&[("HOME", "/h"), ("XDG_DATA_HOME", "d")], false),
            Some("/h/.local/share/kiln".into())
        );
        assert_eq!(root_of(&[("KILN_ROOT", "")], false), None);
        let flags = GlobalFlags { root: Some("/f".into()), ..GlobalFlags::default() };
        assert_eq!(Environment::of(&[("KILN_ROOT", "/k")], true).store_root(&flags), Some("/f".into()));
    }

    #[test]
    fn dockers_configuration() {
        let config = |variables: &[(&str, &str)]| {
            Environment::of(variables, true).docker_config(&GlobalFlags::default())
        };
        assert_eq!(config(&[("HOME", "/h")]), Some("/h/.docker/config.json".into()));
        assert_eq!(config(&[("HOME", "/h"), ("DOCKER_CONFIG", "/c")]), Some("/c/config.json".into()));
        assert_eq!(config(&[]), None);
    }

    #[test]
    fn insecure_registries_come_from_both_places() {
        let flags = GlobalFlags { insecure_registry: vec!["a:1".into()], ..GlobalFlags::default() };
        let environment = Environment::of(&[("KILN_INSECURE_REGISTRIES", "b, c:2,")], true);
        assert_eq!(environment.insecure_registries(&flags), ["a:1", "b", "c:2"]);
    }

    #[test]
    fn colours_follow_no_color_and_term() {
        assert!(Environment::of(&[("TERM", "xterm")], true).allows_color());
        assert!(!Environment::of(&[("TERM", "xterm"), ("NO_COLOR", "1")], true).allows_color());
        assert!(Environment::of(&[("TERM", "xterm"), ("NO_COLOR", "")], true).allows_color());
        assert!(!Environment::of(&[("TERM", "dumb")], true).allows_color());
        assert!(!Environment::of(&[], true).can_redraw());
    }
}
