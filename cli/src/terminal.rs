//! The user's terminal in raw mode while a container owns it, or silent while a password is typed, and back again
//! whatever happens.
//!
//! Used by `crate::commands::run` and `login`; `main` installs [`restore_on_panic`].

use std::io::{IsTerminal, stdin};
use std::sync::{Mutex, PoisonError};

use rustix::termios::{LocalModes, OptionalActions, Termios, Winsize, tcgetattr, tcgetwinsize, tcsetattr};

/// The settings that were found, while they are changed.
static FOUND: Mutex<Option<Termios>> = Mutex::new(None);

/// Raw mode of the terminal at standard input, for as long as this lives.
#[derive(Debug)]
pub struct RawMode(());

impl RawMode {
    /// Switches standard input to raw mode.
    pub fn enter() -> std::io::Result<Self> {
        change(OptionalActions::Flush, Termios::make_raw)?;
        Ok(Self(()))
    }
}

/// A terminal at standard input that does not show what is typed, for as long as this lives.
#[derive(Debug)]
pub struct Silence(());

impl Silence {
    /// Stops the echo; what was typed ahead stays.
    pub fn enter() -> std::io::Result<Self> {
        change(OptionalActions::Drain, |settings| settings.local_modes.remove(LocalModes::ECHO))?;
        Ok(Self(()))
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        restore();
    }
}

/// Changes the settings and keeps those that were found.
fn change(when: OptionalActions, change: impl FnOnce(&mut Termios)) -> std::io::Result<()> {
    let found = tcgetattr(stdin())?;
    let mut settings = found.clone();
    change(&mut settings);
    tcsetattr(stdin(), when, &settings)?;
    *FOUND.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
    Ok(())
}

impl Drop for RawMode {
    fn drop(&mut self) {
        restore();
    }
}

/// Gives the terminal back as it was found; does nothing if it was not changed.
pub fn restore() {
    if let Some(found) = FOUND.lock().unwrap_or_else(PoisonError::into_inner).take() {
        // The terminal may be gone (the window was closed); then there is nothing to restore.
        tcsetattr(stdin(), OptionalActions::Flush, &found).unwrap_or_default();
    }
}

/// A panic must not leave the user with a terminal that does not echo. Panics abort the process in a release, so
/// no destructor runs: the hook does it.
pub fn restore_on_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        restore();
        report(panic);
    }));
}

/// True when standard input is a terminal.
pub fn stdin_is_terminal() -> bool {
    stdin().is_terminal()
}

/// The size of the terminal at standard input.
pub fn size() -> Option<Winsize> {
    tcgetwinsize(stdin()).ok()
}
