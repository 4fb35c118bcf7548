//! Commands with a terminal.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;

use kiln_sandbox::{Exit, RunSpec, Sandbox, Stdio, WindowSize, resize, spawn};

use crate::fixture::{Fixture, read_line};
use crate::tests;

tests!("terminal":
    it_is_the_first_of_its_own, it_has_the_size_asked_for, it_can_be_resized, keys_send_signals, it_belongs_to_the_user,
    it_controls_the_session, the_console_is_the_terminal,
);

fn start(spec: &RunSpec) -> (Sandbox, File) {
    let mut sandbox = spawn(spec, Stdio::Terminal).unwrap();
    assert!(sandbox.take_stdout().is_none() && sandbox.take_stderr().is_none());
    let terminal = File::from(sandbox.take_terminal().unwrap());
    (sandbox, terminal)
}

/// All output up to the end, which a terminal reports as an error; line ends as they were written.
fn output(mut terminal: File) -> String {
    let (mut text, mut buffer) = (Vec::new(), [0; 1024]);
    while let Ok(length @ 1..) = terminal.read(&mut buffer) {
        text.extend(&buffer[..length]);
    }
    String::from_utf8(text).unwrap().replace("\r\n", "\n")
}

fn run(spec: &RunSpec) -> String {
    let (mut sandbox, terminal) = start(spec);
    let text = output(terminal);
    assert_eq!(sandbox.wait().unwrap(), Exit::Code(0), "{text}");
    text
}

fn it_is_the_first_of_its_own() {
    assert_eq!(
        run(&Fixture::new().shell("tty; tty <&1; tty <&2; ls /dev/pts")),
        "/dev/pts/0\n/dev/pts/0\n/dev/pts/0\n0     ptmx\n"
    );
}

fn it_has_the_size_asked_for() {
    let fixture = Fixture::new();
    let mut spec = fixture.spec(&["stty", "size"]);
    spec.window = WindowSize { rows: 51, columns: 132 };
    assert_eq!(run(&spec), "51 132\n");
}

fn it_can_be_resized() {
    let fixture = Fixture::new();
    let (mut sandbox, mut terminal) =
        start(&fixture.shell("trap 'stty size; exit 0' WINCH; echo ready; sleep 1000 & wait"));
    assert_eq!(read_line(&mut terminal), "ready\r\n");
    resize(terminal.as_fd(), WindowSize { rows: 10, columns: 20 }).unwrap();
    assert_eq!(output(terminal), "10 20\n");
    assert_eq!(sandbox.wait().unwrap(), Exit::Code(0));
}

fn keys_send_signals() {
    let fixture = Fixture::new();
    // The signal goes to the whole foreground: process 1 goes on, what it waits for is killed.
    let script = "stty -echo; trap : INT; sh -c 'echo ready; exec sleep 1000'; echo $?";
    let (mut sandbox, mut terminal) = start(&fixture.shell(script));
    assert_eq!(read_line(&mut terminal), "ready\r\n");
    terminal.write_all(b"\x03").unwrap();
    assert_eq!(output(terminal).trim(), "130");
    assert_eq!(sandbox.wait().unwrap(), Exit::Code(0));
}

fn it_belongs_to_the_user() {
    let fixture = Fixture::new();
    let mut spec = fixture.shell("stat -c '%u %g %a' /dev/pts/0; echo again > $(tty)");
    (spec.uid, spec.gid) = (1000, 1000);
    assert_eq!(run(&spec), "1000 5 620\nagain\n");
}

fn it_controls_the_session() {
    assert_eq!(
        run(&Fixture::new().shell("echo through > /dev/tty; ps -o pid,tty,comm | head -n 2 | tail -n 1")),
        "through\n    1 136,0  sh\n"
    );
}

fn the_console_is_the_terminal() {
    assert_eq!(
        run(&Fixture::new().shell("echo through > /dev/console; stat -c '%t,%T' /dev/console")),
        "through\n88,0\n"
    );
}
