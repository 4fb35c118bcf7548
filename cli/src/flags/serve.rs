//! The flags of `kiln serve`: BuildKit's daemon's own names, so that unit files and scripts keep working.

use clap::Args;

/// Serve BuildKit's clients.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "Clients: buildctl --addr unix:///run/kiln/buildkitd.sock build …\n\
                        docker buildx create --driver remote unix:///run/kiln/buildkitd.sock")]
pub struct ServeFlags {
    /// Where to listen: unix:///PATH or tcp://HOST:PORT; may be repeated [default: unix:///run/kiln/buildkitd.sock]
    #[arg(long, value_name = "ADDRESS")]
    pub addr: Vec<String>,
}
