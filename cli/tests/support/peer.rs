//! The builders and runners that kiln is compared with, each with all of its state in one directory of ours.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::daemon::Daemon;
use super::image::Image;
use super::scratch_dir;
use super::tool::{Outcome, run, tool, tool_at, tool_ok};

/// A builder that reads Dockerfiles.
pub trait Peer {
    /// What it is called in tables and messages.
    fn name(&self) -> &'static str;
    /// Builds a context into an image.
    fn build(&self, context: &Path, tag: &str, args: &[&str]) -> Outcome;
    /// Reads an image that it built.
    fn image(&self, tag: &str) -> Image;
}

/// buildah and podman, which share a store.
pub struct Containers {
    dir: PathBuf,
    /// For what goes with a reboot; podman wants a path of at most 50 characters.
    run: tempfile::TempDir,
    /// Another buildah than Debian's.
    buildah: Option<PathBuf>,
}

impl Containers {
    /// With its state in `dir`.
    pub fn new(dir: &Path) -> Containers {
        let run =
            tempfile::Builder::new().prefix("kiln-").tempdir_in("/run").expect("root may write to /run");
        let containers = Containers { dir: dir.to_owned(), run, buildah: None };
        std::fs::create_dir_all(containers.dir.join("tmp")).expect("the state directory can be made");
        containers
    }

    /// The same, with this buildah.
    pub fn with_buildah(mut self, program: &Path) -> Containers {
        self.buildah = Some(program.to_owned());
        self
    }

    /// A `buildah` command line with the store's options.
    pub fn buildah(&self) -> Command {
        let mut command = self.buildah.as_ref().map_or_else(|| tool("buildah"), |program| tool_at(program));
        self.add_store(&mut command);
        command
    }

    /// A `podman` command line with the store's options.
    pub fn podman(&self) -> Command {
        let mut command = tool("podman");
        self.add_store(&mut command);
        command.arg("--tmpdir").arg(self.run.path().join("libpod"));
        // Debian's crun refuses hybrid cgroups, and a host without systemd has no systemd cgroup manager.
        command.args(["--runtime", "runc", "--cgroup-manager", "cgroupfs", "--events-backend", "none"]);
        command
    }

    fn add_store(&self, command: &mut Command) {
        command.env("HOME", &self.dir).env("TMPDIR", self.dir.join("tmp")).current_dir(&self.dir);
        command.arg("--root").arg(self.dir.join("root")).arg("--runroot").arg(self.run.path());
        command.args(["--storage-driver", "overlay"]);
    }

    /// The `buildah build` command line. Docker's image format, since OCI's has no place for HEALTHCHECK, SHELL and ONBUILD.
    pub fn build_command(&self, context: &Path, tag: &str, args: &[&str]) -> Command {
        let mut command = self.buildah();
        command.args(["build", "--layers", "--format", "docker", "--runtime", "runc", "--network", "host"]);
        command
            .args(["--tls-verify=false", "--pull=false", "--identity-label=false", "-t", tag])
            .args(args)
            .arg(context);
        command
    }
}

impl Peer for Containers {
    fn name(&self) -> &'static str {
        "buildah"
    }

    fn build(&self, context: &Path, tag: &str, args: &[&str]) -> Outcome {
        run(&mut self.build_command(context, tag, args))
    }

    fn image(&self, tag: &str) -> Image {
        let dir = scratch_dir("buildah-image-");
        let target = format!("dir:{}", dir.path().display());
        run(self.buildah().args(["push", "--quiet", "--disable-compression", tag, &target])).ok();
        Image::from_dir(dir.path())
    }
}

impl Drop for Containers {
    fn drop(&mut self) {
        // Both leave a bind mount of their store behind, on purpose.
        unmount_below(&self.dir);
        unmount_below(self.run.path());
    }
}

/// What `podman run` is given. Its default limits are higher than what a machine may allow, so low ones are asked for.
pub const PODMAN_RUN: [&str; 8] =
    ["run", "--rm", "--network", "host", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"];

/// Docker's daemon with BuildKit, on a socket of its own.
pub struct Docker {
    dir: PathBuf,
    daemon: Option<Daemon>,
}

impl Docker {
    /// Starts a daemon with its state in `dir`.
    pub fn start(dir: &Path) -> Docker {
        std::fs::create_dir_all(dir.join("config")).expect("the state directory can be made");
        let mut command = tool("dockerd");
        // No bridge and no firewall rules: the machine's network stays as it is, and steps use the host's.
        command.args(["--bridge=none", "--iptables=false", "--ip6tables=false", "--storage-driver=overlay2"]);
        command.arg("--data-root").arg(dir.join("data")).arg("--exec-root").arg(dir.join("exec"));
        command.arg("--pidfile").arg(dir.join("pid")).arg("--config-file").arg(dir.join("none"));
        command.arg("-H").arg(format!("unix://{}", dir.join("socket").display()));
        std::fs::write(dir.join("none"), "{}").expect("the state directory is writable");
        let (daemon, ()) = Daemon::start(&command, |line| line.contains("API listen on").then_some(()));
        Docker { dir: dir.to_owned(), daemon: Some(daemon) }
    }

    /// The daemon's process id.
    pub fn pid(&self) -> u32 {
        self.daemon.as_ref().map_or(0, Daemon::pid)
    }

    /// A `docker` command line for this daemon.
    pub fn docker(&self) -> Command {
        let mut command = tool("docker");
        command.env("DOCKER_BUILDKIT", "1").env("DOCKER_CONFIG", self.dir.join("config"));
        command.arg("-H").arg(format!("unix://{}", self.dir.join("socket").display()));
        command
    }

    /// The `docker build` command line.
    pub fn build_command(&self, context: &Path, tag: &str, args: &[&str]) -> Command {
        let mut command = self.docker();
        command.args(["build", "--network=host", "--progress=plain", "-t", tag]).args(args).arg(context);
        command
    }
}

impl Peer for Docker {
    fn name(&self) -> &'static str {
        "docker"
    }

    fn build(&self, context: &Path, tag: &str, args: &[&str]) -> Outcome {
        run(&mut self.build_command(context, tag, args))
    }

    fn image(&self, tag: &str) -> Image {
        let file = scratch_dir("docker-image-");
        let archive = file.path().join("image.tar");
        run(self.docker().args(["save", "-o"]).arg(&archive).arg(tag)).ok();
        Image::read(&format!("docker-archive:{}", archive.display()))
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        self.daemon.take();
        unmount_below(&self.dir);
    }
}

/// Unmounts whatever is mounted below a directory, the deepest first.
pub fn unmount_below(dir: &Path) {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let below =
        mounts.lines().filter_map(|line| line.split(' ').nth(1)).filter(|at| Path::new(at).starts_with(dir));
    let mut below: Vec<&str> = below.collect();
    below.sort_unstable_by_key(|at| std::cmp::Reverse(at.len()));
    for at in below {
        tool_ok("umount", [at]);
    }
}
