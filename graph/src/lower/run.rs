//! RUN: the command, its environment, its mounts, and here-documents.

use kiln_parser::Diagnostic;
use kiln_parser::instruction::{
    CommandLine, Heredoc, Instruction, Mount, MountKind, Network as RunNetwork, Run, Security, Word,
};
use kiln_parser::span::Span;

use super::stage::StageLowering;
use super::step::not_supported_yet;
use super::{Checked, scope};
use crate::graph::Vertex;
use crate::op::{Exec, ExecMount, Network, Op};
use crate::path;

/// Where scripts of their own interpreter are shown to the step, as in BuildKit.
const SCRIPT_DIRECTORY: &str = "/dev/pipes";

/// Permission bits of such a script: it is executed.
const SCRIPT_MODE: u32 = 0o755;

/// The build argument that names the host a RUN believes to be on.
const HOSTNAME_ARG: &str = "BUILDKIT_SANDBOX_HOSTNAME";

/// What a RUN executes.
struct Script {
    args: Vec<String>,
    mounts: Vec<ExecMount>,
    /// What the progress line shows of a here-document.
    summary: String,
}

impl StageLowering<'_, '_> {
    pub(super) fn run(&mut self, instruction: &Instruction, run: &Run) -> Checked<()> {
        for refused in unsupported(run) {
            self.report(refused);
        }
        let Script { args, mut mounts, summary } = self.script(run, instruction.span)?;
        for mount in run.mounts.iter().filter(|mount| mount.kind.value == MountKind::Tmpfs) {
            mounts.push(self.tmpfs(mount)?);
        }
        let network = self.network(run)?;
        let created_by = self.state.run_text(&args);
        let options = self.build.options;
        let exec = Exec {
            args,
            env: self.state.environment.pairs().to_vec(),
            proxies: scope::proxies(options, &self.state.environment),
            cwd: self.state.cwd.clone(),
            user: self.state.config.config.user.clone(),
            mounts,
            network,
            hostname: options.build_args.get(HOSTNAME_ARG).cloned(),
        };
        let display = self.display(instruction, &format!("{}{summary}", instruction.text));
        let (op, inputs, no_cache) = (Op::Exec(exec), vec![self.state.vertex], options.no_cache);
        self.state.vertex = self.assembly.add(Vertex { op, inputs, no_cache, display });
        self.state.record_layer(&created_by);
        Ok(())
    }

    fn script(&self, run: &Run, span: Span) -> Checked<Script> {
        let (mut mounts, mut summary) = (Vec::new(), String::new());
        let args = match &run.command {
            CommandLine::Exec(words) if words.is_empty() => {
                let message = "RUN [] runs nothing: the first element of the array is the program";
                return Err(Box::new(Diagnostic::error("empty-command", message, span)));
            }
            CommandLine::Exec(words) => words.iter().map(|word| word.value.clone()).collect(),
            CommandLine::Shell { text } => {
                let text = match run.heredocs.as_slice() {
                    [] => text.value.clone(),
                    [heredoc, ..] if is_only_marker(&text.value, heredoc) => {
                        summary = format!(" ({})", summary_of(&heredoc.body.value));
                        whole_script(heredoc, &mut mounts)
                    }
                    heredocs => with_bodies(&text.value, heredocs),
                };
                self.state.with_shell(&text)
            }
        };
        Ok(Script { args, mounts, summary })
    }

    fn network(&self, run: &Run) -> Checked<Network> {
        let chosen = self.build.options.network;
        let Some(network) = &run.network else { return Ok(chosen) };
        match network.value {
            RunNetwork::Default => Ok(chosen),
            RunNetwork::None => Ok(Network::None),
            RunNetwork::Host if chosen == Network::Host => Ok(Network::Host),
            RunNetwork::Host => {
                let message = "RUN --network=host is not allowed in a build with --network=none";
                Err(Box::new(Diagnostic::error("network-not-allowed", message, network.span)))
            }
        }
    }

    fn tmpfs(&mut self, mount: &Mount) -> Checked<ExecMount> {
        let error = |message: String, span| Box::new(Diagnostic::error("invalid-mount", message, span));
        let Some(target) = &mount.target else {
            return Err(error("RUN --mount=type=tmpfs needs a target".to_owned(), mount.span));
        };
        let written = self.expand(target)?;
        let path = path::resolve(&self.state.cwd, &written);
        if path == "/" {
            return Err(error(format!("invalid mount target \"{written}\""), target.span));
        }
        let size = mount.size.as_ref().map(|size| self.size(size)).transpose()?;
        Ok(ExecMount::Tmpfs { target: path, size })
    }

    fn size(&mut self, word: &Word) -> Checked<u64> {
        let text = self.expand(word)?;
        bytes(&text).ok_or_else(|| {
            let message = format!("invalid size \"{text}\": write bytes, or a number with k, m or g");
            Box::new(Diagnostic::error("invalid-mount", message, word.span))
        })
    }
}

/// The flags that cannot be honoured yet.
fn unsupported(run: &Run) -> Vec<Diagnostic> {
    let mut out = Vec::new();
    for mount in &run.mounts {
        let kind = match mount.kind.value {
            MountKind::Tmpfs => continue,
            MountKind::Bind => "bind",
            MountKind::Cache => "cache",
            MountKind::Secret => "secret",
            MountKind::Ssh => "ssh",
        };
        out.push(not_supported_yet(&format!("RUN --mount=type={kind}"), mount.span));
    }
    if let Some(security) = run.security.as_ref().filter(|security| security.value == Security::Insecure) {
        out.push(not_supported_yet("RUN --security=insecure", security.span));
    }
    out.extend(run.devices.iter().map(|device| not_supported_yet("RUN --device", device.span)));
    out
}

/// Whether the command is nothing but the here-document: `RUN <<EOF`.
fn is_only_marker(text: &str, heredoc: &Heredoc) -> bool {
    let text = text.trim().trim_start_matches(|c: char| c.is_ascii_digit());
    let Some(rest) = text.strip_prefix("<<") else { return false };
    let delimiter = rest.strip_prefix('-').unwrap_or(rest).trim_start();
    delimiter.replace(['"', '\'', '\\'], "") == heredoc.name
}

/// A here-document as the whole command: its body is the script of the shell, or, with a `#!` line, a program.
fn whole_script(heredoc: &Heredoc, mounts: &mut Vec<ExecMount>) -> String {
    let body = &heredoc.body.value;
    if !body.starts_with("#!") {
        return body.clone();
    }
    let target = format!("{SCRIPT_DIRECTORY}/{}", heredoc.name);
    let data = body.clone().into_bytes();
    mounts.push(ExecMount::File { target: target.clone(), data, mode: SCRIPT_MODE });
    target
}

/// A command line with its here-documents behind it, for a shell that reads them itself.
fn with_bodies(text: &str, heredocs: &[Heredoc]) -> String {
    let mut out = text.to_owned();
    for heredoc in heredocs {
        out.push('\n');
        out.push_str(&heredoc.body.value);
        out.push_str(&heredoc.name);
    }
    out
}

/// The first line of a script.
fn summary_of(body: &str) -> String {
    let mut lines = body.trim().lines();
    let first = lines.next().unwrap_or_default();
    if lines.next().is_some() { format!("{first}...") } else { first.to_owned() }
}

/// Bytes, with Docker's units: `64m`, `1.5g`, `512kb`, `1GiB`; each is a power of 1024.
fn bytes(text: &str) -> Option<u64> {
    let text = text.trim().to_lowercase();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let shift = match unit.trim().trim_end_matches('b').trim_end_matches('i') {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        "p" => 50,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let unit = 1u64 << shift;
    let whole = whole.parse::<u64>().ok()?.checked_mul(unit)?;
    let fraction: String = fraction.chars().take(6).collect();
    let parts = u128::from(fraction.parse::<u64>().ok()?) * u128::from(unit);
    let scale = 10u128.pow(u32::try_from(fraction.len()).ok()?);
    whole.checked_add(u64::try_from(parts / scale).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_docker_s_units() {
        for (text, expected) in [
            ("0", Some(0)),
            ("4096", Some(4096)),
            ("1k", Some(1024)),
            ("64M", Some(64 << 20)),
            ("64mb", Some(64 << 20)),
            ("1GiB", Some(1 << 30)),
            ("1.5g", Some(3 << 29)),
            ("1 m", Some(1 << 20)),
            ("", None),
            ("k", None),
            ("-1", None),
            ("1x", None),
            ("99999999999999999999", None),
            ("99999999p", None),
        ] {
            assert_eq!(bytes(text), expected, "{text}");
        }
    }
}
