//! A daemon of the test's own, and a client of it that knows nothing of kiln: a Python program written after the wire's
//! description, with messages generated from the protocol's files.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::support::daemon::Daemon;
use crate::support::environment::TestEnvironment;
use crate::support::tool::{self, tool};
use crate::support::workspace;

/// The interpreter that the packages of `scripts/packages` are for.
const PYTHON: &str = "/usr/bin/python3";

/// A running daemon, and what its clients need.
pub struct Server {
    pub env: TestEnvironment,
    pub daemon: Daemon,
    messages: PathBuf,
}

impl Server {
    /// Starts one under the name of BuildKit's, with these flags.
    pub fn start(flags: &[&str]) -> Server {
        Server::start_in(TestEnvironment::new(), flags)
    }

    /// The same in a world that is there already.
    pub fn start_in(env: TestEnvironment, flags: &[&str]) -> Server {
        let messages = messages(&env);
        let program = env.path("buildkitd");
        if !program.exists() {
            std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_kiln"), &program).unwrap();
        }
        let mut command = Command::new(program);
        env.prepare(&mut command).args(["--addr", &format!("unix://{}", socket(&env).display())]).args(flags);
        let (daemon, ()) = Daemon::start(&command, |line| line.contains("listening at").then_some(()));
        Server { env, daemon, messages }
    }

    /// Where its socket is.
    pub fn socket(&self) -> PathBuf {
        socket(&self.env)
    }

    /// Asks a question or builds, and gives the client's report.
    pub fn client(&self, asked: Value) -> Value {
        let child = self.begin(asked);
        report(child)
    }

    /// A client that is under way.
    pub fn begin(&self, mut asked: Value) -> Child {
        asked["address"] = json!(format!("unix://{}", self.socket().display()));
        let mut command = tool::tool_at(Path::new(PYTHON));
        command.arg(workspace().join("cli/tests/e2e/buildkit/client/build.py"));
        command.env("PYTHONPATH", &self.messages).env("PYTHONDONTWRITEBYTECODE", "1");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        serde_json::to_writer(child.stdin.take().unwrap(), &asked).unwrap();
        child
    }
}

/// What a client tells at its end.
pub fn report(child: Child) -> Value {
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "the client failed (it needs the packages of scripts/packages; run `make set-up`):\n{said}"
    );
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}:\n{said}"))
}

fn socket(env: &TestEnvironment) -> PathBuf {
    env.path("b.sock")
}

/// The protocol's messages for Python.
fn messages(env: &TestEnvironment) -> PathBuf {
    let (target, source) = (env.path("messages"), workspace().join("server/proto"));
    std::fs::create_dir_all(&target).unwrap();
    let files = std::fs::read_dir(&source).unwrap().map(|entry| entry.unwrap().path());
    let mut protoc = tool("protoc");
    protoc.arg("--python_out").arg(&target).arg("--proto_path").arg(&source).args(files);
    tool::run(&mut protoc).ok();
    target
}
