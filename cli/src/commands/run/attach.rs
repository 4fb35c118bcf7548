//! A running process joined to the user: terminal, signals, exit code.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::thread::JoinHandle;

use kiln_builder::{RunError, Running};
use kiln_sandbox::{Exit, Signaller, WindowSize, resize};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use crate::error::CliError;
use crate::terminal::{self, RawMode};

/// After so many requests to end, a process that does not listen is killed, as docker does.
const PATIENCE: u32 = 3;

/// How much is moved between terminals at once.
const CHUNK: usize = 16 * 1024;

/// Signals that are passed on.
const FORWARDED: [i32; 6] = [
    rustix::process::Signal::INT.as_raw(),
    rustix::process::Signal::TERM.as_raw(),
    rustix::process::Signal::HUP.as_raw(),
    rustix::process::Signal::QUIT.as_raw(),
    rustix::process::Signal::USR1.as_raw(),
    rustix::process::Signal::USR2.as_raw(),
];

/// Waits for the process; what the user types and which signals come goes to it.
pub async fn attach(mut running: Running, tty: bool, interactive: bool) -> Result<u8, CliError> {
    let terminal = running.take_terminal();
    let raw = if tty && interactive { Some(enter_raw_mode()?) } else { None };
    let output = terminal.as_ref().map(show_output).transpose()?;
    if let Some(terminal) = terminal.as_ref().filter(|_| interactive) {
        type_input(terminal)?;
    }
    let signaller = running.signaller();
    let mut signals = watch()?;
    let mut resized = signal(SignalKind::window_change()).map_err(CliError::system("watch for signals"))?;
    let mut ended = tokio::task::spawn_blocking(move || running.wait());
    let mut requests = 0;
    let exit = loop {
        tokio::select! {
            joined = &mut ended => break joined.map_err(|_| RunError::Lost)??,
            Some(number) = signals.recv() => forward(&signaller, number, &mut requests)?,
            _ = resized.recv() => follow_size(terminal.as_ref())?,
        }
    };
    if let Some(output) = output {
        // The process is gone, so its terminal ends: what it wrote last is shown before kiln ends.
        drop(output.join());
    }
    drop(raw);
    Ok(exit_code(exit))
}

fn exit_code(exit: Exit) -> u8 {
    u8::try_from(exit.shell_code()).unwrap_or(u8::MAX)
}

fn enter_raw_mode() -> Result<RawMode, CliError> {
    RawMode::enter().map_err(CliError::system("switch the terminal to raw mode"))
}

/// All forwarded signals as one stream of numbers.
fn watch() -> Result<mpsc::UnboundedReceiver<i32>, CliError> {
    let (sender, receiver) = mpsc::unbounded_channel();
    for number in FORWARDED {
        let mut signals: Signal =
            signal(SignalKind::from_raw(number)).map_err(CliError::system("watch for signals"))?;
        let sender = sender.clone();
        tokio::spawn(async move { while signals.recv().await.is_some() && sender.send(number).is_ok() {} });
    }
    Ok(receiver)
}

fn forward(signaller: &Signaller, number: i32, requests: &mut u32) -> Result<(), CliError> {
    let ends = [rustix::process::Signal::INT.as_raw(), rustix::process::Signal::TERM.as_raw()];
    *requests += u32::from(ends.contains(&number));
    let sent = if *requests >= PATIENCE { signaller.kill() } else { signaller.signal(number) };
    Ok(sent.map_err(RunError::from)?)
}

fn follow_size(terminal: Option<&OwnedFd>) -> Result<(), CliError> {
    match (terminal, terminal::size()) {
        (Some(terminal), Some(size)) => {
            let size = WindowSize { rows: size.ws_row, columns: size.ws_col };
            Ok(resize(terminal.as_fd(), size).map_err(RunError::from)?)
        }
        _ => Ok(()),
    }
}

/// Copies what the process writes to standard output, on a thread of its own, until its terminal ends.
fn show_output(terminal: &OwnedFd) -> Result<JoinHandle<()>, CliError> {
    let terminal = duplicate(terminal)?;
    Ok(std::thread::spawn(move || copy(terminal, io::stdout())))
}

/// Copies what the user types, on a thread of its own. Nobody waits for it: it may wait for the user for ever.
fn type_input(terminal: &OwnedFd) -> Result<(), CliError> {
    let terminal = duplicate(terminal)?;
    std::thread::spawn(move || copy(io::stdin(), terminal));
    Ok(())
}

fn duplicate(terminal: &OwnedFd) -> Result<File, CliError> {
    Ok(terminal.try_clone().map_err(CliError::system("use the container's terminal"))?.into())
}

/// Copies until either side ends. A terminal whose process is gone answers with an error instead of an end, so errors
/// are ends here.
fn copy(mut from: impl Read, mut to: impl Write) {
    let mut buffer = vec![0; CHUNK];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => {
                if to.write_all(&buffer[..count]).and_then(|()| to.flush()).is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_the_shells() {
        assert_eq!(exit_code(Exit::Code(0)), 0);
        assert_eq!(exit_code(Exit::Code(255)), 255);
        assert_eq!(exit_code(Exit::Signal(9)), 137);
    }
}
