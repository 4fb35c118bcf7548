//! What every command needs before it can begin: the store, the registry client, the builder, a view.
//!
//! Made by `main` from flags and environment; each part is opened only when a command asks for it.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use kiln_builder::images::Images;
use kiln_builder::{Builder, BuilderOptions};
use kiln_cache::{Store, StoreError};
use kiln_registry::{Access, AccessKeys, Client, ClientOptions, Platform, Proxies};

use crate::environment::Environment;
use crate::error::CliError;
use crate::flags::amount;
use crate::flags::build::ProgressKind;
use crate::flags::{GlobalFlags, jobs};
use crate::output::progress::View;
use crate::output::progress::live::Palette;

/// Where docker keeps the certificates of registries.
const CERTIFICATES: &str = "/etc/docker/certs.d";

/// Where the machine says who answers its questions for names.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// What commands in a sandbox find as `/etc/hosts`: the same on every machine.
pub const HOSTS: &str = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n";

/// The surroundings of one command.
#[derive(Debug)]
pub struct Session {
    /// Variables and user.
    pub environment: Environment,
    /// Flags that every command takes.
    pub flags: GlobalFlags,
    store: OnceLock<Store>,
}

impl Session {
    /// The surroundings, as they were found.
    pub fn new(environment: Environment, flags: GlobalFlags) -> Self {
        Self { environment, flags, store: OnceLock::new() }
    }

    /// The store, which is opened once, and made if there is none.
    pub fn store(&self) -> Result<Store, CliError> {
        if let Some(store) = self.store.get() {
            return Ok(store.clone());
        }
        let root = self.environment.store_root(&self.flags).ok_or_else(|| {
            CliError::usage_with_hint(
                "there is no place for the store: HOME is not set",
                "set --root or KILN_ROOT",
            )
        })?;
        let limit = match (self.flags.keep_storage.as_deref(), self.environment.keep_storage()) {
            (Some(flag), _) => Some(Self::size(flag)?),
            (None, Some(variable)) => Some(Self::named_size(variable, "KILN_KEEP_STORAGE: ")?),
            (None, None) => None,
        };
        let store = Store::open(&root)?;
        if let Some(limit) = limit {
            store.keep_within(limit);
        }
        Ok(self.store.get_or_init(|| store).clone())
    }

    /// Makes room in the store if it has a limit and the command has written to it.
    pub fn settle(&self) -> Result<(), StoreError> {
        self.store.get().map_or(Ok(()), Store::settle)
    }

    /// A size that a flag or the environment names.
    pub fn size(text: &str) -> Result<u64, CliError> {
        Self::named_size(text, "")
    }

    fn named_size(text: &str, whose: &str) -> Result<u64, CliError> {
        amount::size(text).ok_or_else(|| {
            CliError::usage_with_hint(
                format!("{whose}`{text}` is no size to keep"),
                "write a number and a unit: 10GB, 512MB, 0",
            )
        })
    }

    /// The registry client; nothing is read or asked before its first request.
    pub fn client(&self) -> Result<Client, CliError> {
        Ok(Client::new(self.client_options())?)
    }

    /// How registries are reached.
    pub fn client_options(&self) -> ClientOptions {
        ClientOptions {
            docker_config: self.environment.docker_config(&self.flags),
            insecure: self.environment.insecure_registries(&self.flags),
            certs_dir: Some(PathBuf::from(CERTIFICATES)),
            proxies: self.proxies(),
            access: self.access(),
            ..ClientOptions::default()
        }
    }

    /// The commands on images.
    pub fn images(&self) -> Result<Images, CliError> {
        Ok(Images::new(self.store()?, self.client()?))
    }

    /// The builder.
    pub fn builder(&self) -> Result<Builder, CliError> {
        self.builder_for(None)
    }

    /// The builder that may execute that many steps at a time; KILN_JOBS or the cores say how many otherwise.
    pub fn builder_for(&self, jobs: Option<usize>) -> Result<Builder, CliError> {
        let options = BuilderOptions {
            jobs: jobs.map_or_else(|| self.jobs(), Ok)?,
            resolv_conf: resolv_conf()?,
            hosts: Some(HOSTS.into()),
            device_directories: self.environment.device_directories(),
        };
        Ok(Builder::new(self.store()?, self.client()?, options))
    }

    /// How many steps may be executed at a time: KILN_JOBS or the cores say.
    pub fn jobs(&self) -> Result<usize, CliError> {
        match self.environment.variable("KILN_JOBS").filter(|text| !text.is_empty()) {
            Some(text) => jobs::parse(text).map_err(|error| CliError::usage(format!("KILN_JOBS: {error}"))),
            None => Ok(cores()),
        }
    }

    /// The platform asked for by a flag or by the environment, else this machine's; normalised.
    pub fn platform(&self, flag: Option<&str>) -> Result<String, CliError> {
        match flag.or_else(|| self.environment.default_platform()) {
            Some(text) if text.contains(',') => Err(CliError::usage_with_hint(
                format!("`{text}` are several platforms: an image for one is made at a time"),
                "build once for each of them; `docker buildx build --platform A,B` on a `kiln serve` makes an index",
            )),
            Some(text) => Ok(Platform::parse(text)?.to_string()),
            None => Ok(host_platform()),
        }
    }

    /// The view of that kind on this terminal.
    pub fn view(&self, kind: ProgressKind) -> View {
        let terminal = std::io::stderr().is_terminal() && self.environment.can_redraw();
        match kind {
            ProgressKind::Quiet => View::Quiet,
            ProgressKind::RawJson => View::Raw,
            ProgressKind::Auto | ProgressKind::Tty if terminal => {
                View::Live(Palette { color: self.environment.allows_color() })
            }
            ProgressKind::Auto | ProgressKind::Plain | ProgressKind::Tty => View::Plain,
        }
    }

    /// True when messages on standard error may have colours.
    pub fn colors_stderr(&self) -> bool {
        std::io::stderr().is_terminal() && self.environment.allows_color()
    }

    /// True when what is written to standard output may have colours.
    pub fn colors_stdout(&self) -> bool {
        std::io::stdout().is_terminal() && self.environment.allows_color()
    }

    /// What the environment says about whoever uses places of shared caches.
    fn access(&self) -> Access {
        let variable =
            |name: &str| self.environment.variable(name).filter(|value| !value.is_empty()).map(str::to_owned);
        let keys = variable("AWS_ACCESS_KEY_ID").zip(variable("AWS_SECRET_ACCESS_KEY"));
        let session_token = variable("AWS_SESSION_TOKEN");
        Access {
            keys: keys.map(|(id, secret)| AccessKeys { id, secret, session_token }),
            token: variable("ACTIONS_RUNTIME_TOKEN"),
        }
    }

    fn proxies(&self) -> Proxies {
        let either = |upper: &str| {
            let lower = upper.to_ascii_lowercase();
            let value = self.environment.variable(upper).or_else(|| self.environment.variable(&lower));
            value.filter(|value| !value.is_empty()).map(str::to_owned)
        };
        Proxies { http: either("HTTP_PROXY"), https: either("HTTPS_PROXY"), none_for: either("NO_PROXY") }
    }
}

/// This machine's platform.
pub fn host_platform() -> String {
    Platform::new("linux", std::env::consts::ARCH, None).to_string()
}

/// How many threads can work at once.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(2, std::num::NonZero::get)
}

/// The machine's resolver configuration; none if the machine has none.
pub fn resolv_conf() -> Result<Option<Vec<u8>>, CliError> {
    match std::fs::read(RESOLV_CONF) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(CliError::file("read", Path::new(RESOLV_CONF))(error)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn session(variables: &[(&str, &str)]) -> Session {
        Session::new(Environment::of(variables, true), GlobalFlags::default())
    }

    #[test]
    fn platforms_are_normalised() {
        assert_eq!(session(&[]).platform(None).unwrap(), host_platform());
        assert_eq!(session(&[]).platform(Some("linux/x86_64")).unwrap(), "linux/amd64");
        let asked = session(&[("DOCKER_DEFAULT_PLATFORM", "linux/aarch64")]);
        assert_eq!(asked.platform(None).unwrap(), "linux/arm64");
        assert_eq!(asked.platform(Some("linux/386")).unwrap(), "linux/386");
        assert!(session(&[]).platform(Some("potato")).is_err());
        let several = session(&[]).platform(Some("linux/amd64,linux/arm64")).unwrap_err();
        assert!(several.to_string().contains("several platforms"), "{several}");
    }

    #[test]
    fn proxies_are_read_in_either_case() {
        let proxies =
            session(&[("http_proxy", "http://a"), ("HTTPS_PROXY", "http://b"), ("NO_PROXY", "")]).proxies();
        assert_eq!((proxies.http.as_deref(), proxies.https.as_deref()), (Some("http://a"), Some("http://b")));
        assert_eq!(proxies.none_for, None);
    }

    #[test]
    fn a_live_view_needs_a_terminal_that_can_redraw() {
        assert_eq!(session(&[("TERM", "dumb")]).view(ProgressKind::Auto), View::Plain);
        assert_eq!(session(&[("TERM", "xterm")]).view(ProgressKind::Quiet), View::Quiet);
        assert_eq!(session(&[]).view(ProgressKind::Plain), View::Plain);
    }

    #[test]
    fn a_store_needs_a_place() {
        let nowhere = Session::new(Environment::of(&[], false), GlobalFlags::default());
        assert!(nowhere.store().unwrap_err().to_string().contains("HOME"));
    }
}
