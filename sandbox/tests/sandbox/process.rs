//! What a command is given and how it ends.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;

use kiln_sandbox::{Exit, SandboxError, Stdin, Stdio, spawn};

use crate::fixture::{Fixture, base, finish, read_line, refused, run};
use crate::tests;

tests!("process":
    exit_codes_are_passed_on, both_streams_are_separate, arguments_and_environment_are_exact, input_is_what_was_asked,
    a_kill_is_reported_as_signal, signals_reach_handlers_and_only_handlers, it_is_process_one,
    its_directory_is_the_one_asked_for, a_missing_directory_is_an_error_unless_it_is_made, commands_are_searched_in_path,
    missing_commands_are_told_apart_from_refused_ones, nothing_is_inherited, many_threads_may_spawn,
    background_processes_end_with_it, output_without_reader_does_not_keep_drop_waiting, a_large_specification_arrives,
);

fn exit_codes_are_passed_on() {
    let fixture = Fixture::new();
    assert_eq!(run(&fixture.spec(&["true"])).exit, Exit::Code(0));
    assert_eq!(run(&Fixture::new().shell("exit 77")).exit, Exit::Code(77));
    assert_eq!(run(&Fixture::new().shell("exit 255")).exit, Exit::Code(255));
}

fn both_streams_are_separate() {
    let output = run(&Fixture::new().shell("echo out; echo err >&2; printf 'no newline'"));
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("out\nno newline", "err\n"));
}

fn arguments_and_environment_are_exact() {
    let output = run(&Fixture::new().spec(&["printf", "[%s]", "a b", "", "$HOME\n", "*"]));
    assert_eq!(output.text(), "[a b][][$HOME\n][*]");
    let fixture = Fixture::new();
    let mut spec = fixture.spec(&["/bin/env"]);
    spec.env = vec![("Z".into(), "1".into()), ("A".into(), String::new()), ("M".into(), "x=y\nz".into())];
    assert_eq!(run(&spec).text(), "Z=1\nA=\nM=x=y\nz\n");
}

fn input_is_what_was_asked() {
    assert_eq!(run(&Fixture::new().spec(&["cat"])).text(), "");
    assert_eq!(run(&Fixture::new().shell("readlink /proc/self/fd/0")).text(), "/dev/null\n");
    let fixture = Fixture::new();
    let mut spec = fixture.spec(&["cat"]);
    spec.stdin = Stdin::Pipe;
    let mut sandbox = spawn(&spec, Stdio::Pipes).unwrap();
    fs::File::from(sandbox.take_stdin().unwrap()).write_all(b"given").unwrap();
    assert_eq!(finish(sandbox).text(), "given");
}

fn a_kill_is_reported_as_signal() {
    let fixture = Fixture::new();
    let mut sandbox = spawn(&fixture.spec(&["sleep", "1000"]), Stdio::Pipes).unwrap();
    sandbox.kill().unwrap();
    assert_eq!(sandbox.wait().unwrap(), Exit::Signal(9));
    assert_eq!(sandbox.wait().unwrap(), Exit::Signal(9));
    sandbox.kill().unwrap();
}

fn signals_reach_handlers_and_only_handlers() {
    let fixture = Fixture::new();
    let script = "trap 'exit 3' TERM; echo ready; sleep 1000 & wait";
    let mut sandbox = spawn(&fixture.shell(script), Stdio::Pipes).unwrap();
    let mut stdout = fs::File::from(sandbox.take_stdout().unwrap());
    assert_eq!(read_line(&mut stdout), "ready\n");
    let signaller = sandbox.signaller();
    // No handler for these: process 1 does not notice.
    signaller.signal(libc::SIGHUP).unwrap();
    signaller.signal(libc::SIGUSR1).unwrap();
    signaller.signal(libc::SIGTERM).unwrap();
    assert_eq!(sandbox.wait().unwrap(), Exit::Code(3));
    assert!(signaller.signal(12345).is_err());
}

fn it_is_process_one() {
    let lines = run(&Fixture::new().shell("echo $$; cd /proc; echo [0-9]*; echo $PPID")).lines();
    assert_eq!(lines, ["1", "1", "0"]);
}

fn its_directory_is_the_one_asked_for() {
    let fixture = Fixture::new();
    fs::create_dir_all(fixture.layer("work/deep")).unwrap();
    std::os::unix::fs::symlink("/work/deep", fixture.layer("link")).unwrap();
    for (asked, expected) in [("/", "/\n"), ("/work/deep", "/work/deep\n"), ("/link/", "/work/deep\n")] {
        let mut spec = fixture.spec(&["/bin/pwd"]);
        spec.cwd = asked.into();
        assert_eq!(run(&spec).text(), expected);
        fixture.reset();
    }
}

fn a_missing_directory_is_an_error_unless_it_is_made() {
    let fixture = Fixture::new();
    let mut spec = fixture.spec(&["/bin/pwd"]);
    spec.cwd = "/not/there".into();
    let error = refused(&spec);
    assert!(
        matches!(&error, SandboxError::WorkingDirectory { path, .. } if path == "/not/there"),
        "{error:?}"
    );
    assert_eq!(error.exit_code(), 126);

    let fixture = Fixture::new();
    let mut spec = fixture.spec(&["/bin/pwd"]);
    spec.cwd = "/now/there".into();
    spec.create_cwd = true;
    spec.uid = 1000;
    assert_eq!(run(&spec).text(), "/now/there\n");
    let made = fs::metadata(fixture.upper("now/there")).unwrap();
    assert_eq!(made.permissions().mode() & 0o7777, 0o755);
}

fn commands_are_searched_in_path() {
    let fixture = Fixture::new();
    for directory in ["one", "two"] {
        fs::create_dir(fixture.layer(directory)).unwrap();
        let path = fixture.layer(&format!("{directory}/tool"));
        fs::write(&path, format!("#!/bin/sh\necho {directory}\n")).unwrap();
    }
    // What cannot be executed is passed over.
    fs::set_permissions(fixture.layer("two/tool"), fs::Permissions::from_mode(0o755)).unwrap();
    let mut spec = fixture.spec(&["tool"]);
    spec.env = vec![("PATH".into(), "/none:/one:/two:/bin".into())];
    assert_eq!(run(&spec).text(), "two\n");
}

fn missing_commands_are_told_apart_from_refused_ones() {
    let fixture = Fixture::new();
    let file = |name: &str, text: &str, mode: u32| {
        fs::write(fixture.layer(name), text).unwrap();
        fs::set_permissions(fixture.layer(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    file("plain", "#!/bin/sh\n", 0o644);
    file("script", "#!/no/such/interpreter\n", 0o755);
    file("junk", "\u{1}\u{2}\u{3}", 0o755);
    let error = |command: &str| {
        let error = refused(&fixture.spec(&[command]));
        fixture.reset();
        (error.to_string(), error.exit_code())
    };
    assert_eq!(error("nosuch"), ("executable file `nosuch` not found in PATH".into(), 127));
    assert_eq!(error("/bin/nosuch"), ("executable file `/bin/nosuch` not found".into(), 127));
    assert_eq!(error("/plain"), ("cannot execute `/plain`".into(), 126));
    assert_eq!(error("/bin"), ("cannot execute `/bin`".into(), 126));
    assert_eq!(error("/junk"), ("cannot execute `/junk`".into(), 126));
    assert_eq!(error("/script"), ("cannot execute `/script`".into(), 127));
    assert_eq!(error("/plain/x"), ("executable file `/plain/x` not found".into(), 127));
}

fn nothing_is_inherited() {
    // A descriptor that every process started from here inherits, as a careless library may open one.
    let leaked = rustix::fs::open("/", rustix::fs::OFlags::RDONLY, rustix::fs::Mode::empty()).unwrap();
    // 3 is the directory that ls reads.
    assert_eq!(run(&Fixture::new().spec(&["ls", "/proc/self/fd"])).lines(), ["0", "1", "2", "3"]);
    drop(leaked);
    assert_eq!(run(&Fixture::new().shell("umask")).text(), "0022\n");
    let signals = run(&Fixture::new().spec(&["grep", "-E", "^(SigBlk|SigIgn)", "/proc/self/status"])).lines();
    assert_eq!(signals, ["SigBlk:\t0000000000000000", "SigIgn:\t0000000000000000"]);
}

fn many_threads_may_spawn() {
    base();
    let threads: Vec<_> = (0..8)
        .map(|number| {
            std::thread::spawn(move || {
                for round in 0..5 {
                    let word = format!("{number}-{round}");
                    assert_eq!(run(&Fixture::new().spec(&["echo", &word])).text(), format!("{word}\n"));
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

fn background_processes_end_with_it() {
    // The output ends, so nobody that could write to it is left.
    let output = run(&Fixture::new().shell("sleep 1000 & sleep 1000 & echo started; exit 4"));
    assert_eq!((output.exit, output.stdout.as_str()), (Exit::Code(4), "started\n"));
}

fn output_without_reader_does_not_keep_drop_waiting() {
    let fixture = Fixture::new();
    let sandbox = spawn(&fixture.spec(&["yes"]), Stdio::Pipes).unwrap();
    drop(sandbox);
}

fn a_large_specification_arrives() {
    let fixture = Fixture::new();
    let mut spec = fixture.shell("wc -c < /data; echo ${#LONG}");
    spec.env.push(("LONG".into(), "x".repeat(100_000)));
    spec.mounts.push(kiln_sandbox::Mount {
        target: "/data".into(),
        kind: kiln_sandbox::MountKind::File { data: vec![b'x'; 1 << 20], mode: 0o644, uid: 0, gid: 0 },
    });
    assert_eq!(run(&spec).lines(), ["1048576", "100000"]);
}
