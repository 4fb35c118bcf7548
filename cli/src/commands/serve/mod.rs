//! `kiln serve`: the builder as a daemon for BuildKit's clients.

mod log;
mod settings;

use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;

use kiln_builder::{Builder, BuilderOptions, CancellationToken};
use kiln_cache::Store;
use kiln_registry::{Client, ClientOptions, HostOptions, Platform};
use kiln_server::config::{Config, RegistryConfig};
use kiln_server::listen::{Address, Doors, ListenError, Owner, Readiness, inherited, tell};
use kiln_server::{Log, ServeError, ServerOptions, serve};

use self::settings::Settings;
use crate::error::CliError;
use crate::flags::GlobalFlags;
use crate::flags::serve::ServeFlags;
use crate::session::{HOSTS, Session, host_platform, resolv_conf};
use crate::work;

/// Where a daemon listens that was told nothing else.
const DEFAULT_ADDRESS: &str = "unix:///run/kiln/buildkitd.sock";

/// The same under BuildKit's name, and the configuration that is read then if it is there.
const BUILDKIT_ADDRESS: &str = "unix:///run/buildkit/buildkitd.sock";
const BUILDKIT_CONFIG: &str = "/etc/buildkit/buildkitd.toml";

/// Serves until a signal comes; builds that are under way are finished first.
pub fn perform(flags: &ServeFlags, session: &Session) -> Result<(), CliError> {
    let (config, unused) = configuration(flags, session)?;
    let level = session.environment.variable("BUILDKITD_LOG_LEVEL").map(str::to_owned);
    let flags = &ServeFlags { log_level: flags.log_level.clone().or(level), ..flags.clone() };
    let settings = Settings::of(flags, config)?;
    let log = log::log(settings.log_format);
    let root = session.flags.root.clone().or_else(|| settings.root.clone());
    // Docker's configuration is not the daemon's: its clients log in by themselves.
    let session = Session::new(
        session.environment.clone(),
        GlobalFlags { root, config: None, ..session.flags.clone() },
    );
    for name in
        unused.iter().map(|key| format!("`{key}` in the configuration")).chain(settings.unused.clone())
    {
        log(&format!("{name} means nothing here"));
    }
    let doors = doors(flags, &settings, &session)?;
    let addresses: Vec<String> = doors.addresses.iter().map(ToString::to_string).collect();
    let options = options(&settings, &session, &log)?;
    let notify = session.environment.variable("NOTIFY_SOCKET").filter(|socket| !socket.is_empty());
    let listening = || {
        for address in &addresses {
            log(&format!("listening at {address}"));
        }
        announce(notify, Readiness::Ready, &log);
    };
    let stop = CancellationToken::new();
    let served = work::until_stopped(&stop, async {
        let serving = serve(options, doors, stop.clone(), listening);
        let stopping = async {
            stop.cancelled().await;
            announce(notify, Readiness::Stopping, &log);
            log("stopping once the builds that are under way have ended; a second signal stops at once");
            std::future::pending::<()>().await;
        };
        // The stop is told before the daemon can have ended.
        tokio::select! {
            biased;
            () = stopping => Ok(()),
            served = serving => served,
        }
    })?;
    served?;
    Ok(session.settle()?)
}

fn announce(socket: Option<&str>, state: Readiness, log: &Log) {
    let Some(socket) = socket else { return };
    if let Err(error) = tell(OsStr::new(socket), state) {
        log(&format!("warning: systemd cannot be told at {socket}: {error}"));
    }
}

/// The configuration file, and what in it means nothing.
fn configuration(flags: &ServeFlags, session: &Session) -> Result<(Config, Vec<String>), CliError> {
    let read =
        |path: &Path| Config::read(path).map_err(|error| CliError::usage(kiln_builder::text::chain(&error)));
    match &session.flags.config {
        Some(path) => read(path),
        None if flags.as_buildkitd && Path::new(BUILDKIT_CONFIG).exists() => read(Path::new(BUILDKIT_CONFIG)),
        None => Ok((Config::default(), Vec::new())),
    }
}

fn doors(flags: &ServeFlags, settings: &Settings, session: &Session) -> Result<Doors, CliError> {
    let inherited = inherited_sockets(session)?;
    let default = match (inherited.is_empty(), flags.as_buildkitd) {
        (false, _) => "fd://",
        (true, true) => BUILDKIT_ADDRESS,
        (true, false) => DEFAULT_ADDRESS,
    };
    let texts =
        if settings.addresses.is_empty() { &[default.to_owned()] } else { settings.addresses.as_slice() };
    let addresses = texts.iter().map(|text| text.parse::<Address>()).collect::<Result<Vec<_>, _>>();
    Ok(Doors {
        addresses: addresses.map_err(|error| CliError::usage(error.to_string()))?,
        tls: settings.tls.clone(),
        owner: Owner { uid: settings.uid, gid: settings.gid },
        inherited,
    })
}

/// What systemd has opened for this process.
fn inherited_sockets(session: &Session) -> Result<Vec<std::os::fd::OwnedFd>, CliError> {
    let number = |name: &str| session.environment.variable(name).and_then(|text| text.parse::<usize>().ok());
    let is_ours = number("LISTEN_PID") == usize::try_from(std::process::id()).ok();
    let count = number("LISTEN_FDS").filter(|_| is_ours).unwrap_or_default();
    inherited(count).map_err(|source| {
        ServeError::from(ListenError::Address { address: "fd://".to_owned(), source }).into()
    })
}

fn options(settings: &Settings, session: &Session, log: &Log) -> Result<ServerOptions, CliError> {
    let store = session.store()?;
    let disk = kiln_server::disk_size(store.root()).map_err(CliError::file("look at", store.root()))?;
    let root = store.root().to_owned();
    Ok(ServerOptions {
        policies: settings.policies(disk),
        builder: builder(settings, session, store)?,
        contexts: root.join("contexts"),
        platform: host_platform(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        worker_id: worker_id(&root),
        labels: settings.labels.clone(),
        platforms: platforms(&settings.platforms)?,
        entitlements: settings.entitlements.clone(),
        log: Arc::clone(log),
        verbose: settings.is_verbose,
    })
}

fn builder(settings: &Settings, session: &Session, store: Store) -> Result<Builder, CliError> {
    let machine = resolv_conf()?;
    let resolv_conf = match &settings.dns {
        Some(dns) => {
            let machine = String::from_utf8_lossy(machine.as_deref().unwrap_or_default()).into_owned();
            Some(dns.resolv_conf(&machine).into_bytes())
        }
        None => machine,
    };
    let device_directories = match (settings.devices_off, settings.device_directories.as_slice()) {
        (true, _) => Vec::new(),
        (false, []) => session.environment.device_directories(),
        (false, given) => given.to_vec(),
    };
    let jobs = settings.jobs.map_or_else(|| session.jobs(), Ok)?;
    let options = BuilderOptions { jobs, resolv_conf, hosts: Some(HOSTS.into()), device_directories };
    let mut client = session.client_options();
    for (host, registry) in &settings.registries {
        add(&mut client, host, registry);
    }
    Ok(Builder::new(store, Client::new(client)?, options))
}

/// What the configuration says of one registry.
fn add(client: &mut ClientOptions, host: &str, registry: &RegistryConfig) {
    if registry.http || registry.insecure {
        client.insecure.push(host.to_owned());
    }
    let identities = registry.keypair.iter().map(|pair| (pair.cert.clone(), pair.key.clone())).collect();
    let options =
        HostOptions { mirrors: registry.mirrors.clone(), authorities: registry.ca.clone(), identities };
    client.hosts.insert(host.to_owned(), options);
}

fn platforms(given: &[String]) -> Result<Vec<String>, CliError> {
    given.iter().map(|text| Ok(Platform::parse(text)?.to_string())).collect()
}

/// The same for every daemon on this store.
fn worker_id(root: &Path) -> String {
    let hex: String = kiln_cache::digest_of(root.as_os_str().as_encoded_bytes()).digest().to_owned();
    hex.chars().take(25).collect()
}
