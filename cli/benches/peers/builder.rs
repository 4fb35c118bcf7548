//! The builders that take part, each with all of its state on the benchmark's disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::buildkit::BuildKit;
use crate::measure::{Measured, family, measure};
use crate::support::peer::{Containers, Docker, PODMAN_RUN};
use crate::support::registry::Registry;
use crate::support::tool::{installed, run, tool_at};

/// One of them.
pub trait Builder {
    /// Its name in the table.
    fn name(&self) -> &str;
    /// Removes all that it stored, the base too.
    fn empty(&mut self);
    /// Builds a context into its image.
    fn build(&mut self, context: &Path) -> Measured;
    /// How many steps on top of one another it is asked to run where each is measured; `None`: none.
    fn longest_chain(&self) -> Option<usize>;
    /// Writes the image that it built last into an archive.
    fn export(&mut self) -> Option<Measured>;
    /// Pushes the image into an empty registry.
    fn push(&mut self, registry: &Registry) -> Measured;
    /// Starts `true` in the image and waits for it.
    fn run(&mut self) -> Option<Measured>;
}

const IMAGE: &str = "bench:latest";

/// kiln, and every other builder that this machine has.
pub fn all(disk: &Path, registry: &str) -> Vec<Box<dyn Builder>> {
    let mut all: Vec<Box<dyn Builder>> = vec![Box::new(Kiln::new(disk))];
    if installed("dockerd").is_some() {
        all.push(Box::new(DockerBuilder::new(&disk.join("docker"))));
    }
    for (number, program) in on_path("buildah").into_iter().enumerate() {
        all.push(Box::new(Buildah::new(&disk.join(format!("buildah-{number}")), &program)));
    }
    if let (Some(daemon), Some(client)) = (on_path("buildkitd").pop(), on_path("buildctl").pop()) {
        all.push(Box::new(BuildKit::kiln(&disk.join("kiln-serve"), &client, registry)));
        all.push(Box::new(BuildKit::start(&disk.join("buildkit"), &daemon, &client, registry)));
    }
    all
}

/// Every program of a name: Debian's, and others that the caller's PATH has.
fn on_path(program: &str) -> Vec<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    let elsewhere =
        path.split(':').map(|directory| Path::new(directory).join(program)).filter(|path| path.is_file());
    let mut all: Vec<PathBuf> =
        installed(program).into_iter().chain(elsewhere).filter_map(|p| p.canonicalize().ok()).collect();
    let mut seen = std::collections::BTreeSet::new();
    all.retain(|path| seen.insert(path.clone()));
    all
}

/// The first line that a program says about its version, shortened to the number.
pub fn version(program: &Path) -> String {
    let text = run(tool_at(program).arg("--version")).stdout;
    let number = text
        .split_whitespace()
        .find(|word| word.trim_start_matches('v').starts_with(|c: char| c.is_ascii_digit()));
    number.unwrap_or("?").trim_start_matches('v').trim_end_matches(',').to_owned()
}

/// kiln, as built by this workspace.
struct Kiln {
    root: PathBuf,
    archive: PathBuf,
    home: PathBuf,
}

impl Kiln {
    fn new(disk: &Path) -> Kiln {
        let directory = disk.join("kiln");
        fs::create_dir_all(directory.join("home")).expect("the disk is writable");
        Kiln {
            root: directory.join("store"),
            archive: directory.join("image.tar"),
            home: directory.join("home"),
        }
    }

    fn kiln(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kiln"));
        command.env("HOME", &self.home).env("DOCKER_CONFIG", &self.home).env("KILN_ROOT", &self.root);
        command
    }
}

impl Builder for Kiln {
    fn name(&self) -> &'static str {
        "kiln"
    }

    fn empty(&mut self) {
        if self.root.exists() {
            fs::remove_dir_all(&self.root).expect("nothing of the store is in use");
        }
    }

    fn build(&mut self, context: &Path) -> Measured {
        measure(self.kiln().args(["build", "--progress=plain", "-t", IMAGE]).arg(context), &[])
    }

    fn longest_chain(&self) -> Option<usize> {
        Some(500)
    }

    fn export(&mut self) -> Option<Measured> {
        fs::remove_file(&self.archive).ok();
        Some(measure(self.kiln().args(["save", "--format", "oci", "-o"]).arg(&self.archive).arg(IMAGE), &[]))
    }

    fn push(&mut self, registry: &Registry) -> Measured {
        let target = registry.reference(IMAGE);
        run(self.kiln().args(["tag", IMAGE, &target])).ok();
        measure(self.kiln().args(["push", &target]), &[])
    }

    fn run(&mut self) -> Option<Measured> {
        Some(measure(self.kiln().args(["run", "--rm", IMAGE, "true"]), &[]))
    }
}

/// `docker build` with BuildKit, as in Debian's docker.io.
struct DockerBuilder {
    docker: Docker,
    name: String,
    archive: PathBuf,
}

impl DockerBuilder {
    fn new(directory: &Path) -> DockerBuilder {
        let docker = Docker::start(directory);
        let version = run(docker.docker().args(["version", "--format", "{{.Server.Version}}"])).ok();
        let name = format!("docker {}", version.split('+').next().unwrap_or_default().trim());
        DockerBuilder { docker, name, archive: directory.join("image.tar") }
    }

    fn daemons(&self) -> Vec<u32> {
        // setpriv becomes dockerd, and dockerd has containerd beside it.
        family(self.docker.pid())
    }
}

impl Builder for DockerBuilder {
    fn name(&self) -> &str {
        &self.name
    }

    fn empty(&mut self) {
        run(self.docker.docker().args(["system", "prune", "--all", "--force"])).ok();
        run(self.docker.docker().args(["builder", "prune", "--all", "--force"])).ok();
    }

    fn build(&mut self, context: &Path) -> Measured {
        measure(&self.docker.build_command(context, IMAGE, &[]), &self.daemons())
    }

    /// Its store mounts no more than 128 layers.
    fn longest_chain(&self) -> Option<usize> {
        Some(100)
    }

    /// What `docker save` writes is not compressed.
    fn export(&mut self) -> Option<Measured> {
        fs::remove_file(&self.archive).ok();
        Some(measure(
            self.docker.docker().args(["save", "-o"]).arg(&self.archive).arg(IMAGE),
            &self.daemons(),
        ))
    }

    fn push(&mut self, registry: &Registry) -> Measured {
        let target = registry.reference(IMAGE);
        run(self.docker.docker().args(["tag", IMAGE, &target])).ok();
        let measured = measure(self.docker.docker().args(["push", &target]), &self.daemons());
        run(self.docker.docker().args(["rmi", &target])).ok();
        measured
    }

    fn run(&mut self) -> Option<Measured> {
        let line = ["run", "--rm", "--network", "host", IMAGE, "true"];
        Some(measure(self.docker.docker().args(line), &self.daemons()))
    }
}

/// `buildah build --layers`; what it builds is run by podman, which shares its store.
struct Buildah {
    containers: Containers,
    program: PathBuf,
    name: String,
    directory: PathBuf,
}

impl Buildah {
    fn new(directory: &Path, program: &Path) -> Buildah {
        let name = format!("buildah {}", version(program));
        let containers = Containers::new(directory).with_buildah(program);
        Buildah { containers, program: program.to_owned(), name, directory: directory.to_owned() }
    }
}

impl Builder for Buildah {
    fn name(&self) -> &str {
        &self.name
    }

    fn empty(&mut self) {
        crate::support::peer::unmount_below(&self.directory);
        fs::remove_dir_all(&self.directory).expect("nothing of the store is in use");
        self.containers = Containers::new(&self.directory).with_buildah(&self.program);
    }

    fn build(&mut self, context: &Path) -> Measured {
        measure(&self.containers.build_command(context, IMAGE, &[]), &[])
    }

    /// It starts a container for each, and takes minutes.
    fn longest_chain(&self) -> Option<usize> {
        None
    }

    fn export(&mut self) -> Option<Measured> {
        let archive = self.directory.join("image.tar");
        fs::remove_file(&archive).ok();
        let target = format!("oci-archive:{}", archive.display());
        Some(measure(self.containers.buildah().args(["push", IMAGE, &target]), &[]))
    }

    fn push(&mut self, registry: &Registry) -> Measured {
        let target = format!("docker://{}", registry.reference(IMAGE));
        measure(self.containers.buildah().args(["push", "--tls-verify=false", IMAGE, &target]), &[])
    }

    fn run(&mut self) -> Option<Measured> {
        // A newer buildah may not have a podman that understands its store.
        let own = installed("buildah").and_then(|path| path.canonicalize().ok());
        (own.as_ref() == Some(&self.program))
            .then(|| measure(self.containers.podman().args(PODMAN_RUN).args([IMAGE, "true"]), &[]))
    }
}
