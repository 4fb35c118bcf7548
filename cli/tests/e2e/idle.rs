//! A build with nothing to do starts no process and reads no file of the context: seen from the kernel's side, by strace.

use std::fs;

use crate::support::environment::TestEnvironment;
use crate::support::tool::{run, tool};

const TEXT: &str = "ARG REGISTRY\nFROM ${REGISTRY}/debian\nWORKDIR /app\nCOPY . .\nRUN find . -type f | wc -l > /count\nCMD [\"true\"]\n";

#[test]
fn a_build_with_nothing_to_do_starts_nothing_and_reads_no_content() {
    let env = TestEnvironment::new();
    let context = env.dockerfile("context", TEXT);
    for number in 0..300 {
        let directory = context.join(format!("directory-{}", number % 10));
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join(format!("file-{number}")), format!("{number}\n")).unwrap();
    }
    // Files written in the moment before they are hashed are hashed once more, since another write could hide behind the
    // same time stamp; the second build is the first that can trust them all.
    env.build(&context, "idle", &[]).ok();
    env.build(&context, "idle", &[]).ok();

    let log = env.path("strace.log");
    let mut command = tool("strace");
    env.prepare(&mut command);
    command.args(["--follow-forks", "--quiet=all", "--string-limit=4096"]);
    command.arg(
        "--trace=execve,execveat,open,openat,openat2,connect,fork,vfork,clone,clone3,mount,fsmount,unshare",
    );
    command.arg("--output").arg(&log);
    let mut build = env.build_command(&context, "idle", &[]);
    command.arg(build.get_program()).args(build.get_args());
    run(&mut command).ok();
    run(&mut build).ok();

    let calls = fs::read_to_string(&log).unwrap();
    let of = |names: &[&str]| -> Vec<&str> {
        calls.lines().filter(|line| names.iter().any(|name| line.contains(&format!(" {name}(")))).collect()
    };
    assert_eq!(of(&["execve", "execveat"]).len(), 1, "only kiln itself is executed:\n{calls}");
    let processes: Vec<&str> = of(&["fork", "vfork", "clone", "clone3"])
        .into_iter()
        .filter(|line| !line.contains("CLONE_THREAD"))
        .collect();
    assert_eq!(processes, [""; 0], "no process is started");
    assert_eq!(of(&["mount", "fsmount", "unshare"]), [""; 0], "nothing is mounted");
    let opened = of(&["open", "openat", "openat2"]);
    let content: Vec<&&str> = opened.iter().filter(|line| line.contains("file-")).collect();
    assert!(content.is_empty(), "no file of the context is opened:\n{content:#?}");
    let trees: Vec<&&str> =
        opened.iter().filter(|line| line.contains("/usr/") && line.contains("store")).collect();
    assert!(trees.is_empty(), "no file of the base is opened:\n{trees:#?}");
    assert_eq!(of(&["connect"]), [""; 0], "the registry is not asked");
}
