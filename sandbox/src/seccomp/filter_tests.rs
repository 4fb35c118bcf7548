//! The assembled program, run by a small machine here, against the profile read directly.

#![allow(clippy::unwrap_used)]

use std::collections::HashMap;

use rustix::thread::CapabilitySet;

use super::*;
use crate::seccomp::profile;
use crate::seccomp::tables::{self, MACHINES};
use crate::{capabilities, seccomp};

/// What the kernel shows a filter.
struct Call {
    number: u32,
    architecture: u32,
    argument: u32,
}

/// Runs a program. Only the instructions that the assembler emits.
fn run(program: &[Instruction], call: &Call) -> u32 {
    let (mut at, mut loaded) = (0, 0);
    loop {
        let instruction = program[at];
        at += 1;
        let holds = match instruction.code {
            LOAD => {
                loaded = match instruction.k {
                    NUMBER => call.number,
                    ARCHITECTURE => call.architecture,
                    ARGUMENTS => call.argument,
                    _ => 0,
                };
                continue;
            }
            RETURN => return instruction.k,
            JUMP => {
                at += instruction.k as usize;
                continue;
            }
            JUMP_IF_EQUAL => loaded == instruction.k,
            JUMP_IF_AT_LEAST => loaded >= instruction.k,
            JUMP_IF_ANY_BIT => loaded & instruction.k != 0,
            code => unreachable!("instruction {code:#x}"),
        };
        at += usize::from(if holds { instruction.jt } else { instruction.jf });
    }
}

fn expected(action: Action, argument: u32) -> u32 {
    let allowed = match action {
        Action::Allow => true,
        Action::Fail(errno) => return libc::SECCOMP_RET_ERRNO | u32::from(errno),
        Action::AllowValues { values, .. } => values.contains(&argument),
        Action::AllowWithoutBits { bits, .. } => argument & bits == 0,
    };
    if allowed { libc::SECCOMP_RET_ALLOW } else { libc::SECCOMP_RET_ERRNO | libc::EPERM.cast_unsigned() }
}

#[test]
fn the_program_does_what_the_profile_says_for_every_number() {
    for capabilities in [capabilities::DEFAULT, CapabilitySet::empty(), CapabilitySet::SYS_ADMIN] {
        let program = seccomp::program(capabilities).unwrap();
        let profile: HashMap<&str, Action> = profile::actions(capabilities).collect();
        for table in MACHINES {
            let names: HashMap<u32, &str> = tables::entries(table.text).map(Result::unwrap).collect();
            let highest = *names.keys().max().unwrap();
            for number in 0..highest + 200 {
                let action = match names.get(&number) {
                    Some(name) => profile.get(name).copied().unwrap_or(REFUSED),
                    None if number > highest => UNKNOWN,
                    None => REFUSED,
                };
                for argument in [0, 1, 8, 12, 16, 38, 40, 0x2_0000, 0x1000_0000, 0x0200_0000, 17, u32::MAX] {
                    let call = Call { number, architecture: table.architecture, argument };
                    assert_eq!(
                        run(&program, &call),
                        expected(action, argument),
                        "call {number}, {argument:#x}"
                    );
                }
            }
        }
    }
}

#[test]
fn calls_of_other_machines_are_unknown() {
    let program = seccomp::program(capabilities::DEFAULT).unwrap();
    let unknown = expected(UNKNOWN, 0);
    let native = MACHINES[0].architecture;
    // x32: the same architecture, numbers with bit 30.
    assert_eq!(run(&program, &Call { number: 0x4000_0001, architecture: native, argument: 0 }), unknown);
    assert_eq!(run(&program, &Call { number: u32::MAX, architecture: native, argument: 0 }), unknown);
    assert_eq!(run(&program, &Call { number: 1, architecture: 0x1234, argument: 0 }), unknown);
}

#[test]
fn the_program_is_small_enough_to_be_loaded_quickly() {
    let program = seccomp::program(capabilities::DEFAULT).unwrap();
    assert!(program.len() < 1000, "{} instructions", program.len());
}

#[test]
fn every_name_of_the_profile_is_in_a_table() {
    let texts = [include_str!("x86_64.txt"), include_str!("i386.txt"), include_str!("aarch64.txt")];
    let known: Vec<&str> =
        texts.iter().flat_map(|text| tables::entries(text)).map(|entry| entry.unwrap().1).collect();
    for (name, _) in profile::actions(capabilities::DEFAULT) {
        assert!(known.contains(&name), "{name}");
    }
}

#[test]
fn jumps_that_are_too_long_for_a_comparison_are_made_in_two() {
    let actions = (0..2000)
        .map(|number| (number, if number % 2 == 0 { Action::Allow } else { Action::Fail(5) }))
        .collect::<BTreeMap<_, _>>();
    let program = assemble(&[Machine { architecture: 7, actions: actions.clone() }]);
    for (number, action) in actions {
        assert_eq!(run(&program, &Call { number, architecture: 7, argument: 0 }), expected(action, 0));
    }
}
