//! `kiln run`: what is given on the command line, what comes from the image, and how it ends.

use std::io::Write;
use std::process::Stdio;

use crate::support::environment::TestEnvironment;
use crate::support::tool::{run, tool};

fn busybox() -> (TestEnvironment, String) {
    let env = TestEnvironment::new();
    let image = env.reference("busybox");
    env.run(["pull", "-q", &image]).ok();
    (env, image)
}

#[test]
fn flags() {
    let (env, image) = busybox();
    let out = |args: &[&str]| env.run([&["run", "--rm"], args].concat()).ok();
    assert_eq!(out(&["-e", "A=one two", &image, "sh", "-c", "echo $A"]), "one two\n");
    assert_eq!(out(&["-w", "/etc", &image, "pwd"]), "/etc\n");
    assert_eq!(out(&["-u", "worker", &image, "id", "-un"]), "worker\n");
    assert_eq!(out(&["-u", "12:34", &image, "sh", "-c", "echo $(id -u):$(id -g)"]), "12:34\n");
    assert_eq!(out(&["--entrypoint", "echo", &image, "entry"]), "entry\n");
    assert_eq!(out(&["--network", "none", &image, "ls", "/sys/class/net"]), "lo\n");
    assert_eq!(out(&[&image, "sh", "-c", "echo $$"]), "1\n", "the process is the first of its namespace");
}

#[test]
fn volumes() {
    let (env, image) = busybox();
    let data = env.path("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("in"), "from outside\n").unwrap();
    let volume = format!("{}:/data", data.display());
    let said = env
        .run(["run", "--rm", "-v", &volume, &image, "sh", "-c", "cat /data/in; echo back > /data/out"])
        .ok();
    assert_eq!(said, "from outside\n");
    assert_eq!(std::fs::read_to_string(data.join("out")).unwrap(), "back\n");
    env.run(["run", "--rm", "-v", &format!("{volume}:ro"), &image, "touch", "/data/no"]).fails();
    assert!(!data.join("no").exists());
}

#[test]
fn exit_codes_are_those_of_docker() {
    let (env, image) = busybox();
    let code = |args: &[&str]| env.run([&["run", "--rm"], args].concat()).code();
    assert_eq!(code(&[&image, "true"]), 0);
    assert_eq!(code(&[&image, "sh", "-c", "exit 3"]), 3);
    assert_eq!(
        code(&[&image, "sh", "-c", "kill -9 $$; sh -c 'kill -9 $PPID'; exit 0"]),
        0,
        "its own init is safe from itself"
    );
    assert_eq!(code(&[&image, "no-such-program"]), 127);
    assert_eq!(code(&[&image, "/etc/passwd"]), 126);
    assert_eq!(code(&["--no-such-flag", &image]), 125);
    assert_eq!(code(&[&env.reference("no/such/image")]), 125);
}

#[test]
fn standard_input_reaches_the_process() {
    let (env, image) = busybox();
    let mut command = env.kiln(["run", "--rm", "-i", &image, "cat"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"through and back\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "through and back\n");
    assert_eq!(env.run(["run", "--rm", &image, "cat"]).ok(), "", "without -i there is no input");
}

#[test]
fn a_terminal_is_one() {
    let (env, image) = busybox();
    let inner = format!(
        "{} run --rm -it {image} sh -c 'tty; test -t 0 && test -t 1 && test -t 2 && echo all; stty size; exit 5'",
        env!("CARGO_BIN_EXE_kiln")
    );
    let mut script = tool("script");
    env.prepare(&mut script).args(["--quiet", "--return", "--command"]);
    let outcome = run(script.arg(format!("stty rows 33 cols 99; {inner}")).arg("/dev/null"));
    assert_eq!(outcome.code(), 5, "{outcome}");
    let lines: Vec<&str> = outcome.stdout.lines().map(str::trim).collect();
    assert_eq!(lines, ["/dev/pts/0", "all", "33 99"], "{outcome}");
}

#[test]
fn output_keeps_its_streams() {
    let (env, image) = busybox();
    let outcome = env.run(["run", "--rm", &image, "sh", "-c", "echo out; echo err >&2"]);
    assert_eq!((outcome.stdout.as_str(), outcome.stderr.as_str()), ("out\n", "err\n"));
}

#[test]
fn an_image_that_is_not_there_is_pulled() {
    let env = TestEnvironment::new();
    let outcome = env.run(["run", "--rm", &env.reference("busybox"), "echo", "pulled"]);
    assert_eq!(outcome.ok(), "pulled\n");
    let outcome = env.run(["run", "--rm", "--pull", "never", &env.reference("debian"), "true"]);
    assert_eq!(outcome.code(), 125, "{outcome}");
}

#[test]
fn processes_see_only_themselves() {
    let (env, image) = busybox();
    let seen = env
        .run(["run", "--rm", &image, "sh", "-c", "cat /proc/1/comm; ls /proc | grep -c '^[0-9]'; true"])
        .ok();
    let (first, processes) = seen.trim().split_once('\n').unwrap();
    assert_eq!(first, "sh");
    assert!(processes.parse::<u32>().unwrap() <= 3, "{seen}");
    let opened = env.run(["run", "--rm", &image, "ls", "/proc/self/fd"]).ok();
    assert_eq!(opened, "0\n1\n2\n3\n", "no descriptor of kiln is inherited (3 is the listing's own)");
}
