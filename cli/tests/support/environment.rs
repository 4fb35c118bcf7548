//! A hermetic place to run kiln in: an own store, home and docker configuration, a cleared environment, the shared registry.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use super::image::Image;
use super::registry::Registry;
use super::tool::{self, Outcome, run};
use super::{context, scratch_dir};

/// One test's world. What is in it goes when it is dropped.
pub struct TestEnvironment {
    /// The registry that the base images come from.
    pub registry: Arc<Registry>,
    root: PathBuf,
    dir: tempfile::TempDir,
}

impl TestEnvironment {
    /// An empty store, and the shared registry.
    pub fn new() -> TestEnvironment {
        TestEnvironment::with_registry(Registry::shared())
    }

    /// An empty store, and a registry of the test's own, which it may damage.
    pub fn with_registry(registry: Arc<Registry>) -> TestEnvironment {
        assert!(rustix::process::geteuid().is_root(), "the end-to-end tests must run as root: make test");
        let dir = scratch_dir("kiln-");
        for name in ["home", "docker"] {
            std::fs::create_dir(dir.path().join(name)).expect("the scratch directory is writable");
        }
        let root = dir.path().join("store");
        TestEnvironment { registry, root, dir }
    }

    /// The same world with another, empty store.
    pub fn another_store(&self, name: &str) -> TestEnvironment {
        let mut other = TestEnvironment::with_registry(Arc::clone(&self.registry));
        other.root = other.dir.path().join(name);
        other
    }

    /// The store's directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A path in the test's directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A reference in the registry, for a name that no other test uses if `name` is the test's own.
    pub fn reference(&self, name: &str) -> String {
        self.registry.reference(name)
    }

    /// A copy of `testdata/images/NAME`, with the files that no checkout can hold.
    pub fn context(&self, name: &str) -> PathBuf {
        let target = self.path(&format!("context-{name}"));
        context::make(name, &target);
        target
    }

    /// A context directory with this Dockerfile in it.
    pub fn dockerfile(&self, name: &str, text: &str) -> PathBuf {
        let dir = self.path(name);
        std::fs::create_dir_all(&dir).expect("the scratch directory is writable");
        std::fs::write(dir.join("Dockerfile"), text).expect("the scratch directory is writable");
        dir
    }

    /// The kiln command line with these arguments.
    pub fn kiln<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kiln"));
        self.prepare(&mut command).args(args);
        command
    }

    /// Gives any command the environment that kiln runs in.
    pub fn prepare<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env_clear()
            .env("PATH", tool::PATH)
            .env("HOME", self.path("home"))
            .env("DOCKER_CONFIG", self.path("docker"))
            .env("KILN_ROOT", &self.root)
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
    }

    /// Runs kiln to its end.
    pub fn run<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Outcome {
        run(&mut self.kiln(args))
    }

    /// The command line of a build with plain progress; `$REGISTRY` is the registry.
    pub fn build_command(&self, context: &Path, tag: &str, more: &[&str]) -> Command {
        let mut command = self.kiln(["build", "--progress=plain", "-t", tag, "--build-arg"]);
        command.arg(format!("REGISTRY={}", self.registry.host())).args(more).arg(context);
        command
    }

    /// Builds a context with plain progress; `$REGISTRY` is the registry.
    pub fn build(&self, context: &Path, tag: &str, more: &[&str]) -> Outcome {
        run(&mut self.build_command(context, tag, more))
    }

    /// Reads an image of the store through an OCI archive and skopeo.
    pub fn image(&self, tag: &str) -> Image {
        let file =
            tempfile::NamedTempFile::new_in(self.dir.path()).expect("the scratch directory is writable");
        self.run([OsStr::new("save"), "-o".as_ref(), file.path().as_os_str(), tag.as_ref()]).ok();
        Image::read(&format!("docker-archive:{}", file.path().display()))
    }

    /// The image id that a name has in the store, if it has one.
    pub fn id(&self, tag: &str) -> Option<String> {
        let outcome = self.run(["inspect", "--format", "{{.Id}}", tag]);
        outcome.status.success().then(|| outcome.stdout.trim().to_owned())
    }
}
