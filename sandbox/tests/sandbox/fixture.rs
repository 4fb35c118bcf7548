//! A small root file system, and running commands in it.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use kiln_sandbox::{Exit, Root, RunSpec, Sandbox, SandboxError, Stdio, spawn};
use tempfile::TempDir;

const BUSYBOX: &str = "/bin/busybox";

/// A layer with busybox in /bin and nothing else: no /proc, /sys, /dev, /etc, /tmp.
pub fn base() -> &'static Path {
    static BASE: OnceLock<TempDir> = OnceLock::new();
    let base = BASE.get_or_init(|| {
        assert!(rustix::process::geteuid().is_root(), "these tests make real sandboxes and must run as root");
        let directory = TempDir::with_prefix("kiln-sandbox-base-").unwrap();
        let bin = directory.path().join("bin");
        fs::create_dir(&bin).unwrap();
        fs::copy(BUSYBOX, bin.join("busybox"))
            .expect("a static busybox at /bin/busybox (package busybox-static)");
        let applets = Command::new(BUSYBOX).arg("--list").output().unwrap();
        for applet in String::from_utf8(applets.stdout).unwrap().lines().filter(|name| *name != "busybox") {
            symlink("busybox", bin.join(applet)).unwrap();
        }
        directory
    });
    base.path()
}

/// Directories for one run: an own layer above the base, an upper and a work directory.
pub struct Fixture {
    directory: TempDir,
}

impl Fixture {
    pub fn new() -> Fixture {
        let directory = TempDir::with_prefix("kiln-sandbox-").unwrap();
        for name in ["layer", "upper", "work"] {
            fs::create_dir(directory.path().join(name)).unwrap();
        }
        Fixture { directory }
    }

    /// A path in the own layer.
    pub fn layer(&self, path: &str) -> PathBuf {
        self.directory.path().join("layer").join(path.trim_start_matches('/'))
    }

    /// A path in the upper directory.
    pub fn upper(&self, path: &str) -> PathBuf {
        self.directory.path().join("upper").join(path.trim_start_matches('/'))
    }

    /// A path beside both.
    pub fn beside(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    /// Forgets the changes of a run, so that another can follow.
    pub fn reset(&self) {
        for name in ["upper", "work"] {
            fs::remove_dir_all(self.beside(name)).unwrap();
            fs::create_dir(self.beside(name)).unwrap();
        }
    }

    pub fn root(&self) -> Root {
        Root::Overlay {
            lowers: vec![self.layer(""), base().to_owned()],
            upper: self.upper(""),
            work: self.beside("work"),
        }
    }

    pub fn spec(&self, args: &[&str]) -> RunSpec {
        RunSpec::new(self.root(), args.iter().map(ToString::to_string).collect())
    }

    pub fn shell(&self, script: &str) -> RunSpec {
        self.spec(&["sh", "-c", script])
    }

    /// Everything in the upper directory, relative and sorted.
    pub fn changes(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        list(&self.upper(""), "", &mut found);
        found
    }
}

fn list(directory: &Path, prefix: &str, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            list(&entry.path(), &format!("{name}/"), found);
        }
        found.insert(name);
    }
}

pub fn names(expected: &[&str]) -> BTreeSet<String> {
    expected.iter().map(ToString::to_string).collect()
}

#[derive(Debug)]
pub struct Output {
    pub exit: Exit,
    pub stdout: String,
    pub stderr: String,
}

impl Output {
    /// The output of a command that succeeded.
    pub fn text(self) -> String {
        assert_eq!(self.exit, Exit::Code(0), "{}", self.stderr);
        self.stdout
    }

    pub fn lines(self) -> Vec<String> {
        self.text().lines().map(str::to_owned).collect()
    }
}

pub fn run(spec: &RunSpec) -> Output {
    let sandbox = spawn(spec, Stdio::Pipes).unwrap_or_else(|error| panic!("{}", describe(&error)));
    finish(sandbox)
}

pub fn finish(mut sandbox: Sandbox) -> Output {
    let (stdout, stderr) = (sandbox.take_stdout().unwrap(), sandbox.take_stderr().unwrap());
    let errors = std::thread::spawn(move || read(stderr));
    let stdout = read(stdout);
    let exit = sandbox.wait().unwrap();
    Output { exit, stdout, stderr: errors.join().unwrap() }
}

/// The error of a command that must not start.
pub fn refused(spec: &RunSpec) -> SandboxError {
    match spawn(spec, Stdio::Pipes) {
        Err(error) => error,
        Ok(sandbox) => panic!("it ran: {:?}", finish(sandbox)),
    }
}

/// An error with its causes.
pub fn describe(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {}", describe(source)))
}

pub fn read(descriptor: OwnedFd) -> String {
    let mut text = String::new();
    fs::File::from(descriptor).read_to_string(&mut text).unwrap();
    text
}

/// Reads up to and including a line end.
pub fn read_line(stream: &mut impl Read) -> String {
    let (mut line, mut byte) = (Vec::new(), [0]);
    while stream.read(&mut byte).unwrap() == 1 {
        line.push(byte[0]);
        if byte[0] == b'\n' {
            break;
        }
    }
    String::from_utf8(line).unwrap()
}
