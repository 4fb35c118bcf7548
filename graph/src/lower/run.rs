//! RUN: the command, its environment, and here-documents. Its mounts are [`super::mounts`]'s.

use kiln_parser::Diagnostic;
use kiln_parser::instruction::{CommandLine, Heredoc, Instruction, Network as RunNetwork, Run};
use kiln_parser::span::Span;

use super::device::NOT_ENTITLED;
use super::stage::StageLowering;
use super::{Checked, scope};
use crate::entitlement::Entitlement;
use crate::graph::Vertex;
use crate::op::{Exec, ExecMount, Network, Op};

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
        let Script { args, mut mounts, summary } = self.script(run, instruction.span)?;
        let variables = self.state.environment.pairs().iter().map(|(_, value)| value.as_str());
        if !self.assembly.keep(variables) {
            // Said when the stage is done.
            return Ok(());
        }
        let mut inputs = vec![self.state.vertex];
        mounts.extend(self.mounts(instruction, run, &mut inputs));
        let (network, security) = (self.network(run), self.security(run));
        let devices = self.devices(run);
        let created_by = self.state.run_text(&args);
        let options = self.build.options;
        let exec = Exec {
            args,
            env: self.state.environment.pairs().to_vec(),
            proxies: scope::proxies(options, &self.state.environment),
            platform: self.state.platform.clone(),
            cwd: self.state.cwd.clone(),
            user: self.state.config.config.user.clone(),
            mounts,
            network,
            security,
            devices,
            hostname: options.build_args.get(HOSTNAME_ARG).filter(|name| !name.is_empty()).cloned(),
            rules: crate::op::ExecRules::default(),
        };
        let display = self.display(instruction, &format!("{}{summary}", instruction.text));
        let (op, no_cache) = (Op::Exec(exec), self.state.no_cache);
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

    fn network(&mut self, run: &Run) -> Network {
        let options = self.build.options;
        let Some(network) = &run.network else { return options.network };
        match network.value {
            RunNetwork::Default => options.network,
            RunNetwork::None => Network::None,
            RunNetwork::Host => {
                if !options.entitlements.network_host && !options.check {
                    let needed = Entitlement::NetworkHost;
                    let message = format!("RUN --network=host needs the entitlement {needed}");
                    let or =
                        if options.network == Network::None { ", or leave out --network=none" } else { "" };
                    let help = format!("grant it with `--allow {needed}`{or}");
                    self.report(Diagnostic::error(NOT_ENTITLED, message, network.span).with_help(help));
                }
                Network::Host
            }
        }
    }
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
