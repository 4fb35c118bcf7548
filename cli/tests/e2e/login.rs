//! `login` and `logout` against a registry that wants a password: what they say, what the configuration file holds
//! afterwards, and that other commands are let in.

use std::fs::{self, File};
use std::io::{Read, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::process::{Command, Stdio};

use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};

use crate::authentication::guarded;
use crate::support::environment::TestEnvironment;
use crate::support::registry::{PASSWORD, USER};
use crate::support::tool::{self, Outcome};

/// Runs kiln with this standard input.
fn with_input(env: &TestEnvironment, args: &[&str], input: &str) -> Outcome {
    feed(env.kiln(args), input)
}

fn feed(mut command: Command, input: &str) -> Outcome {
    let line = tool::line(&command);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A command that reads nothing may be gone already.
    drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    Outcome {
        line,
        status: output.status,
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Logs in as a script does.
fn log_in(env: &TestEnvironment, password: &str) -> Outcome {
    with_input(env, &["login", "-u", USER, "--password-stdin", env.registry.host()], &format!("{password}\n"))
}

fn config(env: &TestEnvironment) -> serde_json::Value {
    serde_json::from_slice(&fs::read(env.path("docker/config.json")).unwrap()).unwrap()
}

/// A helper that keeps the login in a file, and the configuration that names it.
fn with_helper(env: &TestEnvironment) {
    let helper = env.path("bin/docker-credential-shelf");
    fs::create_dir(env.path("bin")).unwrap();
    let script = "#!/bin/sh\ncase $1 in\n\
        store) cat > \"$0.kept\" ;;\n\
        get) cat \"$0.kept\" 2>/dev/null || { echo 'credentials not found in native keychain'; exit 1; } ;;\n\
        erase) rm \"$0.kept\" ;;\nesac\n";
    fs::write(&helper, script).unwrap();
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(env.path("docker/config.json"), r#"{"credsStore":"shelf"}"#).unwrap();
}

#[test]
fn a_script_logs_in_works_and_logs_out() {
    let env = guarded();
    let host = env.registry.host().to_owned();
    let busybox = env.reference("busybox");
    let others = r#"{"HttpHeaders":{"A":"b"},"auths":{"other.example":{"auth":"bWU6cHc="}}}"#;
    fs::write(env.path("docker/config.json"), others).unwrap();
    std::os::unix::fs::chown(env.path("docker/config.json"), Some(1234), Some(1234)).unwrap();

    let said = env.run(["pull", &busybox]).fails();
    assert!(said.contains(&format!("log in first: kiln login {host}")), "{said}");

    let outcome = log_in(&env, PASSWORD);
    assert!(outcome.stderr.contains("stored unencrypted in"), "{outcome}");
    assert_eq!(outcome.ok(), "Login Succeeded\n");
    let file = config(&env);
    assert_eq!(file["HttpHeaders"]["A"], "b");
    assert_eq!(file["auths"]["other.example"]["auth"], "bWU6cHc=");
    assert_eq!(file["auths"][&host]["auth"], "cG90dGVyOm9wZW4gc2VzYW1l");
    let metadata = fs::metadata(env.path("docker/config.json")).unwrap();
    assert_eq!(
        (metadata.mode() & 0o7777, metadata.uid()),
        (0o600, 1234),
        "the user's own, and nobody else's"
    );
    env.run(["pull", &busybox]).ok();
    // Other programs read the file too.
    let file = env.path("docker/config.json");
    let target = format!("docker://{busybox}");
    let file = file.to_str().unwrap();
    tool::tool_ok("skopeo", ["inspect", "--authfile", file, "--tls-verify=false", &target]);

    // Without a word the stored login is tried.
    let outcome = env.run(["login", &host]);
    assert!(outcome.stderr.contains(USER), "{outcome}");
    assert_eq!(outcome.ok(), "Login Succeeded\n");

    assert_eq!(env.run(["logout", &host]).ok(), format!("Removing login credentials for {host}\n"));
    assert_eq!(env.run(["logout", &host]).ok(), format!("Not logged in to {host}\n"));
    assert_eq!(config(&env)["auths"], serde_json::json!({ "other.example": { "auth": "bWU6cHc=" } }));
    env.run(["pull", &busybox]).fails();
}

#[test]
fn a_wrong_password_is_refused_and_nothing_is_written() {
    let env = guarded();
    let host = env.registry.host().to_owned();
    let outcome = log_in(&env, "wrong-password");
    assert_eq!(outcome.code(), 1, "{outcome}");
    let said = outcome.fails();
    assert!(said.contains(&format!("error: the login for {host} was refused\n")), "{said}");
    assert!(!said.contains("wrong-password") && !said.contains("Succeeded"), "{said}");
    assert!(!env.path("docker/config.json").exists());

    // One that was good once is told apart from none.
    log_in(&env, PASSWORD).ok();
    let stale = fs::read_to_string(env.path("docker/config.json")).unwrap();
    let stale = stale.replace("cG90dGVyOm9wZW4gc2VzYW1l", "cG90dGVyOndyb25n");
    fs::write(env.path("docker/config.json"), &stale).unwrap();
    let said = env.run(["pull", &env.reference("busybox")]).fails();
    assert!(
        said.contains(&format!("the stored login was refused; log in again: kiln login {host}")),
        "{said}"
    );
    assert!(!said.contains("log in first"), "{said}");
    let said = env.run(["login", &host]).fails();
    assert!(said.contains("stored login") && said.contains("--password-stdin"), "{said}");
    assert_eq!(fs::read_to_string(env.path("docker/config.json")).unwrap(), stale);
}

#[test]
fn what_is_missing_is_named() {
    let env = guarded();
    let host = env.registry.host();
    for (args, input, named) in [
        (&["login", host][..], "", "-u USER --password-stdin"),
        (&["login", "-u", USER, host], "", "-u USER --password-stdin"),
        (&["login", "--password-stdin", host], "x", "-u USER"),
        (&["login", "-u", USER, "--password-stdin", host], "\n", "empty"),
        (&["login", "-u", "", "--password-stdin", host], "x", "user name is empty"),
        (&["login", "-u", USER, "-p", "x", "--password-stdin", host], "x", "cannot be used with"),
        (&["login", "-u", USER, "-p", "x", "me@host"], "", "not the host of a registry"),
    ] {
        let outcome = with_input(&env, args, input);
        assert_eq!(outcome.code(), 2, "{outcome}");
        let said = outcome.fails();
        assert!(said.contains(named), "{said}");
    }
    assert!(!env.path("docker/config.json").exists());
    fs::write(env.path("docker/config.json"), "{").unwrap();
    let outcome = log_in(&env, PASSWORD);
    assert_eq!(outcome.code(), 1, "{outcome}");
    let said = outcome.fails();
    assert!(said.contains("docker/config.json is not a valid docker configuration"), "{said}");
    // A damaged entry is no obstacle: the login replaces it.
    let damaged = format!(r#"{{"auths":{{"{host}":{{"auth":"%"}}}}}}"#);
    fs::write(env.path("docker/config.json"), damaged).unwrap();
    let said = env.run(["pull", &env.reference("busybox")]).fails();
    assert!(said.contains(&format!("log in again: kiln login {host}")), "{said}");
    assert!(env.run(["login", host]).fails().contains("-u USER --password-stdin"));
    log_in(&env, PASSWORD).ok();
}

#[test]
fn a_password_on_the_command_line_is_warned_of() {
    let env = guarded();
    let server = format!("http://{}/v1/", env.registry.host());
    let place = env.path("made/docker");
    let outcome =
        env.run(["--config", place.to_str().unwrap(), "login", "-u", USER, "-p", PASSWORD, &server]);
    assert!(outcome.stderr.contains("--password-stdin"), "{outcome}");
    outcome.ok();
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().mode() & 0o7777;
    assert_eq!((mode(&place), mode(&place.join("config.json"))), (0o700, 0o600));
    let file = fs::read_to_string(place.join("config.json")).unwrap();
    assert!(file.contains(&format!("\"{}\": {{", env.registry.host())), "{file}");
}

#[test]
fn a_helper_keeps_the_login() {
    let env = guarded();
    let host = env.registry.host().to_owned();
    with_helper(&env);
    let kiln = |args: &[&str]| {
        let mut command = env.kiln(args);
        command.env("PATH", format!("{}:{}", env.path("bin").display(), tool::PATH));
        command
    };
    let outcome = feed(kiln(&["login", "-u", USER, "--password-stdin", &host]), PASSWORD);
    assert!(!outcome.stderr.contains("unencrypted"), "{outcome}");
    outcome.ok();
    let file = fs::read_to_string(env.path("docker/config.json")).unwrap();
    assert_eq!(config(&env)["auths"][&host], serde_json::json!({}), "{file}");
    let kept = fs::read_to_string(env.path("bin/docker-credential-shelf.kept")).unwrap();
    assert!(kept.contains(PASSWORD), "{kept}");
    tool::run(&mut kiln(&["pull", &env.reference("busybox")])).ok();

    let said = tool::run(&mut kiln(&["logout", &host])).ok();
    assert_eq!(said, format!("Removing login credentials for {host}\n"));
    assert!(!env.path("bin/docker-credential-shelf.kept").exists());
    assert_eq!(config(&env), serde_json::json!({ "credsStore": "shelf", "auths": {} }));
    assert!(tool::run(&mut kiln(&["logout", &host])).ok().starts_with("Not logged in to "));

    // A login that the helper does not take is an error.
    fs::write(env.path("bin/docker-credential-shelf"), "#!/bin/sh\n[ $1 != store ] || echo locked\nexit 1\n")
        .unwrap();
    fs::write(env.path("docker/config.json"), format!(r#"{{"credHelpers":{{"{host}":"none-such"}}}}"#))
        .unwrap();
    let said = feed(kiln(&["login", "-u", USER, "--password-stdin", &host]), PASSWORD).fails();
    assert!(said.contains("docker-credential-none-such"), "{said}");
}

/// A terminal: the person's end, and the program's.
fn terminal() -> (File, OwnedFd) {
    let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    unlockpt(&person).unwrap();
    let program = ioctl_tiocgptpeer(&person, OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    (File::from(person), program)
}

/// Reads until a question is there.
fn wait_for(question: &str, output: &mut impl Read) {
    let mut seen = Vec::new();
    while !seen.ends_with(question.as_bytes()) {
        let mut byte = [0];
        let count = output.read(&mut byte).unwrap();
        assert_eq!(count, 1, "`{question}` was not asked: {}", String::from_utf8_lossy(&seen));
        seen.push(byte[0]);
    }
}

#[test]
fn at_a_terminal_the_password_is_asked_for_and_not_shown() {
    let env = guarded();
    let (mut person, program) = terminal();
    let mut command = env.kiln(["login", env.registry.host()]);
    command.stdin(program.try_clone().unwrap()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(command);
    let mut stderr = child.stderr.take().unwrap();
    wait_for("Username: ", &mut stderr);
    writeln!(person, "{USER}").unwrap();
    wait_for("Password: ", &mut stderr);
    writeln!(person, "{PASSWORD}").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "Login Succeeded\n");
    let settings = rustix::termios::tcgetattr(&program).unwrap();
    assert!(settings.local_modes.contains(rustix::termios::LocalModes::ECHO), "the terminal is as it was");
    drop(program);
    let mut shown = Vec::new();
    // The end of a terminal that no program has any more is an error.
    drop(person.read_to_end(&mut shown));
    assert_eq!(String::from_utf8(shown).unwrap().trim(), USER);
}

#[test]
fn whoever_leaves_at_the_question_gets_the_terminal_back() {
    let env = guarded();
    let (_person, program) = terminal();
    let mut command = env.kiln(["login", "-u", USER, env.registry.host()]);
    command.stdin(program.try_clone().unwrap()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    wait_for("Password: ", child.stderr.as_mut().unwrap());
    let echoes = || {
        rustix::termios::tcgetattr(&program).unwrap().local_modes.contains(rustix::termios::LocalModes::ECHO)
    };
    assert!(!echoes());
    let id = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(echoes());
    assert!(!env.path("docker/config.json").exists());
}
