//! `--ssh ID=KEY`: private keys in the place of an agent.

use std::fs;
use std::path::PathBuf;

use crate::support::environment::TestEnvironment;
use crate::support::tool::{run, tool};

/// A new private key of OpenSSH's.
fn key(env: &TestEnvironment, name: &str, more: &[&str]) -> PathBuf {
    let path = env.path(name);
    let mut command = tool("ssh-keygen");
    command.args(["-q", "-C", &format!("comment of {name}")]).args(more).arg("-f").arg(&path);
    run(&mut command).ok();
    path
}

#[test]
fn steps_see_keys_as_an_agent_has_them() {
    let env = TestEnvironment::new();
    let first = key(&env, "first", &["-t", "ed25519", "-N", ""]);
    let second = key(&env, "second", &["-t", "rsa", "-b", "2048", "-N", ""]);
    let context = env.dockerfile(
        "keys",
        "ARG REGISTRY\nFROM ${REGISTRY}/debian\n\
         RUN --mount=type=ssh,required,id=work --mount=type=tmpfs,target=/tmp \
         perl -MIO::Socket::UNIX -e '$s = IO::Socket::UNIX->new(Peer => $ENV{SSH_AUTH_SOCK}) or die $!; \
         for (17, 11) { syswrite $s, pack(\"NC\", 1, $_); sysread $s, $a, 4; read_all($s, unpack(\"N\", $a)) } \
         sub read_all { my ($s, $n) = @_; while ($n > 0) { $r = sysread $s, $a, $n; print $a; $n -= $r } }' > /tmp/answer && \
         grep -qa 'comment of first' /tmp/answer && grep -qa 'comment of second' /tmp/answer && \
         grep -qa ssh-ed25519 /tmp/answer && ! grep -qa PRIVATE /tmp/answer\n",
    );
    let both = format!("work={},{}", first.display(), second.display());
    env.build(&context, "keys", &["--ssh", &both]).ok();
    let tree = env.image("keys").tree;
    assert!(!tree.contains_key("run/buildkit"), "the socket's place is in the image");
}

#[test]
fn keys_that_cannot_be_used_say_what_to_do() {
    let env = TestEnvironment::new();
    let context = env.dockerfile("keys", "FROM scratch\n");
    let refused = |path: &PathBuf| {
        env.build(&context, "keys", &["--ssh", &format!("default={}", path.display())]).fails()
    };
    let locked = key(&env, "locked", &["-t", "ed25519", "-N", "a passphrase"]);
    let said = refused(&locked);
    let hint = format!("add it to an agent (`ssh-add {}`)", locked.display());
    assert!(said.contains("is encrypted") && said.contains(&hint), "{said}");
    let old = key(&env, "old", &["-t", "rsa", "-b", "2048", "-m", "PEM", "-N", ""]);
    assert!(refused(&old).contains("`ssh-keygen -p -f"), "{}", refused(&old));
    let text = env.path("text");
    fs::write(&text, "hello").unwrap();
    assert!(refused(&text).contains("is not a private key"), "{}", refused(&text));
}
