//! A BuildKit that is newer than Debian's: `buildkitd` and `buildctl`, where PATH has them; and kiln in that daemon's place, with
//! the same client.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::builder::{Builder, version};
use crate::measure::{Measured, family, measure};
use crate::report;
use crate::support::daemon::Daemon;
use crate::support::registry::Registry;
use crate::support::tool::{run, tool_at};

/// A running daemon and its client.
pub struct BuildKit {
    /// Nothing while it is being started again.
    daemon: Option<Daemon>,
    client: PathBuf,
    name: String,
    directory: PathBuf,
    last: PathBuf,
    /// kiln under the daemon's name. It keeps images that have names, whatever is pruned.
    is_kiln: bool,
}

impl BuildKit {
    /// Starts the daemon with its state in `directory`; `registry` may be talked to without TLS.
    pub fn start(directory: &Path, daemon: &Path, client: &Path, registry: &str) -> BuildKit {
        fs::create_dir_all(directory).expect("the disk is writable");
        fs::write(directory.join("buildkitd.toml"), format!("[registry.\"{registry}\"]\nhttp = true\n"))
            .expect("the disk is writable");
        let program = directory.join("buildkitd");
        std::os::unix::fs::symlink(daemon, &program).expect("the disk is writable");
        let mut started = BuildKit {
            daemon: None,
            client: client.to_owned(),
            name: format!("buildkit {}", version(client)),
            directory: directory.to_owned(),
            last: PathBuf::new(),
            is_kiln: false,
        };
        started.serve();
        started
    }

    /// The same with kiln, as built by this workspace, in place of the daemon.
    pub fn kiln(directory: &Path, client: &Path, registry: &str) -> BuildKit {
        let started = Self::start(directory, Path::new(env!("CARGO_BIN_EXE_kiln")), client, registry);
        BuildKit { name: report::SERVED.to_owned(), is_kiln: true, ..started }
    }

    fn serve(&mut self) {
        let mut command = tool_at(&self.directory.join("buildkitd"));
        command.arg("--config").arg(self.directory.join("buildkitd.toml"));
        command.arg("--root").arg(self.root()).arg("--addr").arg(address(&self.directory));
        command.args([
            "--oci-worker-net=host",
            "--oci-worker-snapshotter=overlayfs",
            "--containerd-worker=false",
        ]);
        let is_ready =
            |line: &str| ["running server on", "listening at"].iter().any(|said| line.contains(said));
        let (daemon, ()) = Daemon::start(&command, move |line| is_ready(line).then_some(()));
        self.daemon = Some(daemon);
    }

    fn root(&self) -> PathBuf {
        self.directory.join("root")
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
        let daemon = self.daemon.as_ref().expect("it is running");
        measure(command, &family(daemon.pid()))
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
        if self.is_kiln {
            self.daemon = None;
            fs::remove_dir_all(self.root()).expect("nothing of the store is in use");
            return self.serve();
        }
        run(self.buildctl().args(["prune", "--all"])).ok();
    }

    fn build(&mut self, context: &Path) -> Measured {
        context.clone_into(&mut self.last);
        self.measured(&self.build_command(context, "type=image,name=bench,unpack=false"))
    }

    /// BuildKit's own store mounts fewer than five hundred layers.
    fn longest_chain(&self) -> Option<usize> {
        Some(if self.is_kiln { 500 } else { 100 })
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
