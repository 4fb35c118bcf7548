//! A BuildKit that is newer than Debian's: `buildkitd` and `buildctl`, where PATH has them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::builder::{Builder, version};
use crate::measure::{Measured, family, measure};
use crate::support::daemon::Daemon;
use crate::support::registry::Registry;
use crate::support::tool::{run, tool_at};

/// A running daemon and its client.
pub struct BuildKit {
    daemon: Daemon,
    client: PathBuf,
    name: String,
    directory: PathBuf,
    last: PathBuf,
}

impl BuildKit {
    /// Starts the daemon with its state in `directory`; `registry` may be talked to without TLS.
    pub fn start(directory: &Path, daemon: &Path, client: &Path, registry: &str) -> BuildKit {
        fs::create_dir_all(directory).expect("the disk is writable");
        let config = directory.join("buildkitd.toml");
        fs::write(&config, format!("[registry.\"{registry}\"]\nhttp = true\n"))
            .expect("the disk is writable");
        let mut command = tool_at(daemon);
        command.arg("--config").arg(config).arg("--root").arg(directory.join("root"));
        command.arg("--addr").arg(address(directory));
        command.args([
            "--oci-worker-net=host",
            "--oci-worker-snapshotter=overlayfs",
            "--containerd-worker=false",
        ]);
        let (daemon, ()) = Daemon::start(&command, |line| line.contains("running server on").then_some(()));
        let name = format!("buildkit {}", version(client));
        BuildKit {
            daemon,
            client: client.to_owned(),
            name,
            directory: directory.to_owned(),
            last: PathBuf::new(),
        }
    }

    fn buildctl(&self) -> Command {
        let mut command = tool_at(&self.client);
        command.arg("--addr").arg(address(&self.directory));
        command.env("HOME", &self.directory);
        command
    }

    /// Without an output BuildKit commits no image; this one stays in its store.
    fn build_command(&self, context: &Path, output: &str) -> Command {
        let mut command = self.buildctl();
        command.args(["build", "--frontend=dockerfile.v0", "--progress=plain", "--output", output]);
        for local in ["context", "dockerfile"] {
            command.arg("--local").arg(format!("{local}={}", context.display()));
        }
        command
    }

    fn measured(&self, command: &Command) -> Measured {
        measure(command, &family(self.daemon.pid()))
    }
}

fn address(directory: &Path) -> String {
    format!("unix://{}", directory.join("socket").display())
}

impl Builder for BuildKit {
    fn name(&self) -> &str {
        &self.name
    }

    fn empty(&mut self) {
        run(self.buildctl().args(["prune", "--all"])).ok();
    }

    fn build(&mut self, context: &Path) -> Measured {
        context.clone_into(&mut self.last);
        self.measured(&self.build_command(context, "type=image,name=bench,unpack=false"))
    }

    fn longest_chain(&self) -> Option<usize> {
        Some(500)
    }

    fn export(&mut self) -> Option<Measured> {
        let output = format!("type=oci,dest={}", self.directory.join("image.tar").display());
        Some(self.measured(&self.build_command(&self.last, &output)))
    }

    fn push(&mut self, registry: &Registry) -> Measured {
        let output =
            format!("type=image,name={},push=true,registry.insecure=true", registry.reference("bench"));
        self.measured(&self.build_command(&self.last, &output))
    }

    /// It runs no images.
    fn run(&mut self) -> Option<Measured> {
        None
    }
}
