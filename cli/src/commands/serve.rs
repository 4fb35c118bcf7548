//! `kiln serve`: the builder as a daemon for BuildKit's clients.

use kiln_builder::CancellationToken;
use kiln_server::{Address, ServerOptions, serve};

use crate::error::CliError;
use crate::flags::serve::ServeFlags;
use crate::output;
use crate::session::{Session, host_platform};
use crate::work;

/// Where a daemon listens that was told nothing else.
const DEFAULT_ADDRESS: &str = "unix:///run/kiln/buildkitd.sock";

/// Serves until a signal comes; builds that are under way are finished first.
pub fn perform(flags: &ServeFlags, session: &Session) -> Result<(), CliError> {
    let texts = if flags.addr.is_empty() { vec![DEFAULT_ADDRESS.to_owned()] } else { flags.addr.clone() };
    let addresses = texts.iter().map(|text| Address::parse(text)).collect::<Result<Vec<_>, _>>();
    let addresses = addresses.map_err(|error| CliError::usage(error.to_string()))?;
    let builder = session.builder()?;
    let root = builder.store.root().to_owned();
    let options = ServerOptions {
        builder,
        contexts: root.join("contexts"),
        platform: host_platform(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        worker_id: worker_id(&root),
    };
    let stop = CancellationToken::new();
    let listening = || {
        for address in &addresses {
            output::remark(&format!("listening at {address}"));
        }
    };
    let served = work::until_stopped(&stop, serve(options, &addresses, stop.clone(), listening))?;
    served.map_err(CliError::from)
}

/// The same for every daemon on this store.
fn worker_id(root: &std::path::Path) -> String {
    let hex: String = kiln_cache::digest_of(root.as_os_str().as_encoded_bytes()).digest().to_owned();
    hex.chars().take(25).collect()
}
