//! The system call filter of a sandbox: Docker's default profile for this machine.
//!
//! [`profile`] says what is allowed, by name; the numbers come from tables of the kernel's; [`filter`] makes a program
//! of both. Loading it is [`crate::init`]'s. Besides the machine's own calls, those of 32-bit x86 programs are filtered
//! by the same profile; all calls of other kinds (x32, 32-bit ARM) fail as on a kernel built without them.

mod filter;
mod profile;
mod tables;

use std::collections::{BTreeMap, HashMap};
use std::io;

use rustix::thread::CapabilitySet;

use filter::Machine;
use profile::Action;

/// The program for a process with these capabilities.
pub(crate) fn program(capabilities: CapabilitySet) -> io::Result<Vec<libc::sock_filter>> {
    let profile: HashMap<&str, Action> = profile::actions(capabilities).collect();
    let machines: io::Result<Vec<Machine>> =
        tables::MACHINES.iter().map(|table| machine(table, &profile)).collect();
    Ok(filter::assemble(&machines?))
}

fn machine(table: &tables::Table, profile: &HashMap<&str, Action>) -> io::Result<Machine> {
    let mut actions = BTreeMap::new();
    for entry in tables::entries(table.text) {
        let (number, name) = entry.map_err(io::Error::other)?;
        actions.insert(number, profile.get(name).copied().unwrap_or(profile::REFUSED));
    }
    Ok(Machine { architecture: table.architecture, actions })
}
