//! Turns a table of actions into a program for the kernel's packet filter machine (classic BPF, seccomp(2)).
//!
//! System call numbers are cut into ranges of equal action, and the program is a binary search over them: the kernel
//! runs a new filter once for every number when it is loaded, so a linear list would cost more than all the
//! rest of starting a sandbox. Pure; [`super::program`] is the only caller.

use std::collections::BTreeMap;

use libc::sock_filter as Instruction;

use super::profile::{Action, EPERM, REFUSED, UNKNOWN};

/// The calls of one machine type.
pub(super) struct Machine {
    /// `AUDIT_ARCH_*`: how the kernel names the type to a filter.
    pub(super) architecture: u32,
    /// What happens to each number that the profile names. Others are refused, up to the highest one here; those above
    /// it are newer than the profile and unknown.
    pub(super) actions: BTreeMap<u32, Action>,
}

// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

// Instruction codes (`linux/bpf_common.h`): load a word, return a constant, jump, and jump by comparison.
const LOAD: u16 = 0x20;
const RETURN: u16 = 0x06;
const JUMP: u16 = 0x05;
const JUMP_IF_EQUAL: u16 = 0x15;
const JUMP_IF_AT_LEAST: u16 = 0x35;
const JUMP_IF_ANY_BIT: u16 = 0x45;

/// The program for all machine types that processes of this kernel can have. Calls of others are unknown.
pub(super) fn assemble(machines: &[Machine]) -> Vec<Instruction> {
    let mut program = vec![statement(LOAD, ARCHITECTURE)];
    for machine in machines {
        let mut part = vec![statement(LOAD, NUMBER)];
        part.extend(search(&ranges(&machine.actions)));
        program.extend(skip_unless(JUMP_IF_EQUAL, machine.architecture, part.len()));
        program.extend(part);
    }
    program.extend(perform(UNKNOWN));
    program
}

/// The first number of each range, ascending from 0, and the action up to the next.
fn ranges(actions: &BTreeMap<u32, Action>) -> Vec<(u32, Action)> {
    let mut ranges: Vec<(u32, Action)> = Vec::new();
    let mut add = |start: u32, action: Action| {
        if ranges.last().is_none_or(|(_, last)| *last != action) {
            ranges.push((start, action));
        }
    };
    let mut next = 0;
    for (&number, &action) in actions {
        if number > next {
            add(next, REFUSED);
        }
        add(number, action);
        next = number + 1;
    }
    add(next, UNKNOWN);
    ranges
}

/// Code that finds the range of the number that is loaded, and does what belongs to it.
fn search(ranges: &[(u32, Action)]) -> Vec<Instruction> {
    let middle = ranges.len() / 2;
    let (below, above) = ranges.split_at(middle);
    match above {
        [] => perform(UNKNOWN),
        [(_, action)] if below.is_empty() => perform(*action),
        [(start, _), ..] => {
            let above = search(above);
            let mut code = skip_unless(JUMP_IF_AT_LEAST, *start, above.len());
            code.extend(above);
            code.extend(search(below));
            code
        }
    }
}

/// Code that goes on if the comparison holds and skips `length` instructions otherwise. A comparison itself reaches 255
/// instructions at most.
fn skip_unless(comparison: u16, value: u32, length: usize) -> Vec<Instruction> {
    if let Ok(length) = u8::try_from(length) {
        return vec![branch(comparison, value, 0, length)];
    }
    // The kernel takes programs of 4096 instructions at most, and refuses a jump out of them.
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    vec![branch(comparison, value, 1, 0), statement(JUMP, length)]
}

fn perform(action: Action) -> Vec<Instruction> {
    let allow = statement(RETURN, libc::SECCOMP_RET_ALLOW);
    let fail = |errno: u16| statement(RETURN, libc::SECCOMP_RET_ERRNO | u32::from(errno));
    let refuse = fail(EPERM);
    match action {
        Action::Allow => vec![allow],
        Action::Fail(errno) => vec![fail(errno)],
        Action::AllowWithoutBits { argument, bits } => {
            vec![load_argument(argument), branch(JUMP_IF_ANY_BIT, bits, 1, 0), allow, refuse]
        }
        Action::AllowValues { argument, values } => {
            let mut code = vec![load_argument(argument)];
            for value in values {
                code.extend([branch(JUMP_IF_EQUAL, *value, 0, 1), allow]);
            }
            code.push(refuse);
            code
        }
    }
}

/// Loads the low half of an argument; both supported machines store it first.
fn load_argument(argument: u8) -> Instruction {
    statement(LOAD, ARGUMENTS + 8 * u32::from(argument))
}

fn statement(code: u16, k: u32) -> Instruction {
    Instruction { code, jt: 0, jf: 0, k }
}

/// Skips `jt` instructions if the comparison with what is loaded holds, else `jf`.
fn branch(code: u16, k: u32, jt: u8, jf: u8) -> Instruction {
    Instruction { code, jt, jf, k }
}

#[cfg(test)]
#[path = "filter_tests.rs"]
mod tests;
