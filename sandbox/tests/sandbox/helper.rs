//! What this binary does when a test starts it as something else: a caller of the crate to be killed, or a
//! program that attacks kiln from inside.

use std::fs::OpenOptions;
use std::path::PathBuf;
use std::process::{Command, exit};

use kiln_sandbox::{Root, RunSpec, Stdio, spawn};

/// The first argument of a helper.
const MARK: &str = "--kiln-sandbox-test-helper";

/// A command that runs this binary as the helper of this name.
pub fn command(name: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg(MARK).arg(name).args(arguments);
    command
}

/// The arguments for the same inside a sandbox.
pub fn arguments(program: &str, name: &str) -> Vec<String> {
    [program, MARK, name].map(str::to_owned).to_vec()
}

pub fn run_if_asked() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [mark, name, rest @ ..] = arguments.as_slice() else { return };
    if mark != MARK {
        return;
    }
    match name.as_str() {
        "run" => run(rest),
        "write-own-program" => write_own_program(),
        _ => exit(2),
    }
}

/// Runs a shell script in a sandbox with inherited streams and says, with a line, that it is about to and that it did:
/// `run LOWER UPPER WORK SCRIPT`.
fn run(arguments: &[String]) -> ! {
    let [lower, upper, work, script] = arguments else { exit(2) };
    let root = Root::Overlay { lowers: vec![lower.into()], upper: upper.into(), work: work.into() };
    let spec = RunSpec::new(root, ["sh", "-c", script].map(str::to_owned).to_vec());
    println!("starting");
    let mut sandbox = spawn(&spec, Stdio::Inherit).unwrap();
    println!("started {}", process_of(&sandbox));
    exit(sandbox.wait().unwrap().shell_code())
}

/// The process id of a sandbox's command, as this process sees it.
fn process_of(sandbox: &kiln_sandbox::Sandbox) -> String {
    use std::os::fd::AsRawFd;
    let information = PathBuf::from(format!("/proc/self/fdinfo/{}", sandbox.pidfd().as_raw_fd()));
    let text = std::fs::read_to_string(information).unwrap();
    text.lines().find_map(|line| line.strip_prefix("Pid:")).unwrap().trim().to_owned()
}

/// Tries to write, which fails while the program runs in any case, and to change the mode, which fails in a read-only
/// mount only.
fn write_own_program() -> ! {
    let path = "/proc/self/exe";
    let opened = OpenOptions::new().write(true).open(path).map(drop);
    let mode = std::fs::metadata(path).unwrap().permissions();
    let changed = std::fs::set_permissions(path, mode);
    println!(
        "{} {}",
        opened.is_ok(),
        changed.map_or_else(|error| error.to_string(), |()| "changed".to_owned())
    );
    exit(0)
}
