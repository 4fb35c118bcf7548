//! RUN: one command in a sandbox on top of its root, and the layer that it leaves.

use std::collections::{BTreeMap, VecDeque};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use kiln_cache::{LayerInfo, Store, View};
use kiln_graph::op::{Exec, Network, RootChanges, Security};
use kiln_sandbox::{Exit, Root, RunSpec, Sandbox, Signaller, Stdin, Stdio};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::mounts::{self, Credentials, Layers, Prepared, Sources};
use super::{lower_directories, user};
use crate::device::{Devices, Edits};
use crate::error::StepError;
use crate::event::{Step, Stream};
use crate::task::blocking;
use crate::{hosts, limits};

/// How many of a command's last lines an error repeats.
const LOG_TAIL: usize = 20;

/// A line longer than this is passed on in pieces: memory stays bounded whatever a command prints.
const MAX_LINE: usize = 64 * 1024;

/// The host name that a step sees unless it asks for another; BuildKit's, which build scripts may have met.
const HOSTNAME: &str = "buildkitsandbox";

/// The variable that tells programs where the SSH agent is.
const AGENT_VARIABLE: &str = "SSH_AUTH_SOCK";

/// What the builder's machine lends to each step.
#[derive(Debug, Clone, Default)]
pub(crate) struct Host {
    /// Content of `/etc/resolv.conf`.
    pub(crate) resolv_conf: Option<Vec<u8>>,
    /// Content of `/etc/hosts`.
    pub(crate) hosts: Option<Vec<u8>>,
    /// Where devices are described.
    pub(crate) device_directories: Vec<PathBuf>,
}

/// A command and what it needs.
pub(crate) struct Command {
    pub(crate) op: Exec,
    /// The layers of its root, bottom first.
    pub(crate) trees: Vec<PathBuf>,
    /// The inputs that its mounts show, by number.
    pub(crate) inputs: BTreeMap<usize, Layers>,
    pub(crate) host: Arc<Host>,
    pub(crate) credentials: Arc<Credentials>,
    pub(crate) devices: Arc<Devices>,
    /// Where a command takes its slot that may have to wait for its caches; `None` if it has one.
    pub(crate) slots: Option<Arc<Semaphore>>,
}

/// What a command made.
pub(crate) struct Ran {
    /// The changes of its root.
    pub(crate) layer: LayerInfo,
    /// The changes of the mounts that are results, by the number of the mount.
    pub(crate) outputs: Vec<(usize, LayerInfo)>,
}

/// A command that gave no layer.
pub(crate) struct CommandFailure {
    pub(crate) cause: StepError,
    /// Its last lines.
    pub(crate) log: Vec<Vec<u8>>,
}

impl<E: Into<StepError>> From<E> for CommandFailure {
    fn from(error: E) -> Self {
        Self { cause: error.into(), log: Vec::new() }
    }
}

/// Runs the command. Dropping the future kills it.
pub(crate) async fn run(store: Store, command: Command, step: Arc<Step>) -> Result<Ran, CommandFailure> {
    let killer = Killer::default();
    let shared = killer.shared();
    let result = blocking(move || execute(&store, command, &step, &shared)).await;
    drop(killer);
    result.unwrap_or_else(|| Err(StepError::Lost.into()))
}

/// Kills the command when the future that waits for it is dropped.
#[derive(Default)]
struct Killer {
    state: Arc<Mutex<Killed>>,
}

#[derive(Default)]
struct Killed {
    signaller: Option<Signaller>,
    dropped: bool,
}

impl Killer {
    fn shared(&self) -> Arc<Mutex<Killed>> {
        Arc::clone(&self.state)
    }
}

impl Drop for Killer {
    fn drop(&mut self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.dropped = true;
        if let Some(signaller) = &state.signaller {
            // A command that cannot be killed because it is gone is what was wanted.
            drop(signaller.kill());
        }
    }
}

fn execute(
    store: &Store,
    command: Command,
    step: &Step,
    killed: &Mutex<Killed>,
) -> Result<Ran, CommandFailure> {
    let Command { op, trees, inputs, host, credentials, devices, slots } = command;
    let note = |text: String| step.note(text);
    let sources = Sources { store, inputs: &inputs, credentials: &credentials, note: &note };
    let mut prepared = mounts::prepare(&op, &sources)?;
    let _slot = slots.map(|slots| Handle::current().block_on(slots.acquire_owned()));
    // Waiting may have taken long.
    if is_dropped(killed) {
        return Err(StepError::Cancelled.into());
    }
    let draft = store.layers().draft()?;
    let view = View::new(&trees)?;
    prepared.cover(&view)?;
    let identity = user::identity(&view, &op.user)?;
    let edits = devices.edits(&op.devices, identity.ids, &note)?;
    let lowers = lower_directories(trees);
    let root = Root::Overlay { lowers, upper: draft.upper().to_owned(), work: draft.work().to_owned() };
    let mut spec = spec(&op, root, &identity, &host, &mut prepared);
    give(&mut spec, edits);
    let mut sandbox = kiln_sandbox::spawn(&spec, Stdio::Pipes)?;
    {
        let mut killed = killed.lock().unwrap_or_else(PoisonError::into_inner);
        if killed.dropped {
            return Err(StepError::Cancelled.into());
        }
        killed.signaller = Some(sandbox.signaller());
    }
    let log = follow(&mut sandbox, step)?;
    let exit = sandbox.wait()?;
    if is_dropped(killed) {
        return Err(StepError::Cancelled.into());
    }
    // What was held for the command is let go before its layer is hashed: others wait for it.
    let outputs = std::mem::take(&mut prepared.outputs);
    drop(prepared);
    match exit {
        Exit::Code(code) if is_success(&op, code) => {
            let layer = draft.seal()?;
            let sealed = outputs.into_iter().map(|(mount, draft)| Ok((mount, draft.seal()?)));
            Ok(Ran { layer, outputs: sealed.collect::<Result<_, StepError>>()? })
        }
        Exit::Code(code) => Err(CommandFailure { cause: StepError::Exited { code }, log }),
        Exit::Signal(signal) => Err(CommandFailure { cause: StepError::Killed { signal }, log }),
    }
}

fn is_success(op: &Exec, code: i32) -> bool {
    let codes = &op.rules.exit_codes;
    if codes.is_empty() { code == 0 } else { codes.contains(&code) }
}

fn is_dropped(killed: &Mutex<Killed>) -> bool {
    killed.lock().unwrap_or_else(PoisonError::into_inner).dropped
}

fn spec(op: &Exec, root: Root, identity: &user::Identity, host: &Host, prepared: &mut Prepared) -> RunSpec {
    let mut env = op.env.clone();
    env.extend(op.proxies.iter().cloned());
    for (name, value) in prepared.env.drain(..) {
        env.retain(|(known, _)| *known != name);
        env.push((name, value));
    }
    if let Some(agent) = prepared.agent.take()
        && !env.iter().any(|(name, _)| name == AGENT_VARIABLE)
    {
        env.push((AGENT_VARIABLE.to_owned(), agent));
    }
    if !env.iter().any(|(name, _)| name == "HOME") {
        env.push(("HOME".to_owned(), identity.home.clone().unwrap_or_else(|| "/".to_owned())));
    }
    let hostname = op.hostname.clone().unwrap_or_else(|| HOSTNAME.to_owned());
    let base = match &host.hosts {
        None if op.rules.hosts.is_empty() => None,
        base => Some(base.as_deref().unwrap_or_default()),
    };
    RunSpec {
        env,
        cwd: op.cwd.clone(),
        create_cwd: true,
        uid: identity.ids.uid,
        gid: identity.ids.gid,
        groups: identity.groups.clone(),
        network: match op.network {
            Network::Host => kiln_sandbox::Network::Host,
            Network::None => kiln_sandbox::Network::None,
        },
        mounts: std::mem::take(&mut prepared.mounts),
        resolv_conf: host.resolv_conf.clone(),
        hosts: base.map(|base| hosts::file(base, &hostname, &op.rules.hosts)),
        hostname,
        stdin: Stdin::Null,
        privileged: op.security == Security::Insecure,
        read_only_root: op.rules.root == RootChanges::Refused,
        limits: limits::of(&op.rules.limits),
        ..RunSpec::new(root, op.args.clone())
    }
}

/// Adds what comes with devices. What they say goes over what the step says.
fn give(spec: &mut RunSpec, edits: Edits) {
    for (name, value) in edits.env {
        spec.env.retain(|(known, _)| *known != name);
        spec.env.push((name, value));
    }
    for mount in edits.mounts {
        spec.mounts.retain(|known| known.target != mount.target);
        spec.mounts.push(mount);
    }
    mounts::outer_first(&mut spec.mounts);
    spec.devices = edits.nodes;
    spec.groups.extend(edits.groups);
}

/// Passes on what the command writes, line by line, until both its outputs end; returns the last lines.
fn follow(sandbox: &mut Sandbox, step: &Step) -> Result<Vec<Vec<u8>>, StepError> {
    let tail = Mutex::new(VecDeque::with_capacity(LOG_TAIL));
    let outputs = [(Stream::Stdout, sandbox.take_stdout()), (Stream::Stderr, sandbox.take_stderr())];
    let results: Vec<std::io::Result<()>> = std::thread::scope(|scope| {
        let threads: Vec<_> = outputs
            .into_iter()
            .filter_map(|(stream, output)| output.map(|output| (stream, output)))
            .map(|(stream, output)| {
                let tail = &tail;
                scope.spawn(move || lines(output, |line| report(step, stream, line, tail)))
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    for result in results {
        result.map_err(|source| StepError::Output { source })?;
    }
    Ok(tail.into_inner().unwrap_or_else(PoisonError::into_inner).into())
}

fn report(step: &Step, stream: Stream, line: Vec<u8>, tail: &Mutex<VecDeque<Vec<u8>>>) {
    let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
    if tail.len() == LOG_TAIL {
        tail.pop_front();
    }
    tail.push_back(line.clone());
    step.log(stream, line);
}

/// Calls `each` with every line of `output`, without its newline; the last one may have had none.
fn lines(output: OwnedFd, mut each: impl FnMut(Vec<u8>)) -> std::io::Result<()> {
    let mut output = std::fs::File::from(output);
    let mut buffer = vec![0_u8; 16 * 1024];
    let mut line = Vec::new();
    loop {
        let count = match output.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        for part in buffer[..count].split_inclusive(|byte| *byte == b'\n') {
            line.extend_from_slice(part);
            if line.last() == Some(&b'\n') {
                line.pop();
                each(std::mem::take(&mut line));
            } else if line.len() >= MAX_LINE {
                each(std::mem::take(&mut line));
            }
        }
    }
    if !line.is_empty() {
        each(line);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::io::Write;

    fn read_lines(parts: &[&[u8]]) -> Vec<Vec<u8>> {
        let (reader, writer) = std::io::pipe().unwrap();
        let parts: Vec<Vec<u8>> = parts.iter().map(|part| part.to_vec()).collect();
        let thread = std::thread::spawn(move || {
            let mut writer = writer;
            for part in parts {
                writer.write_all(&part).unwrap();
            }
        });
        let mut found = Vec::new();
        lines(OwnedFd::from(reader), |line| found.push(line)).unwrap();
        thread.join().unwrap();
        found
    }

    #[test]
    fn output_comes_line_by_line() {
        assert_eq!(read_lines(&[b"one\ntw", b"o\n\nthree"]), [&b"one"[..], b"two", b"", b"three"]);
        assert!(read_lines(&[]).is_empty());
    }

    #[test]
    fn an_endless_line_is_passed_on_in_pieces() {
        let long = vec![b'x'; 3 * MAX_LINE];
        let pieces = read_lines(&[&long]);
        assert!(pieces.len() >= 3 && pieces.iter().all(|piece| piece.len() <= MAX_LINE + 16 * 1024));
        assert_eq!(pieces.concat(), long);
    }
}
