//! From root on the host to the user in the sandbox. What is given up here cannot be got back.
//!
//! Used by [`super::perform`] as the last step before the command is executed.

use std::io;

use rustix::fs::{Gid, Uid};
use rustix::io::Errno;
use rustix::thread::{CapabilitySet, CapabilitySets};

use crate::{capabilities, seccomp, sys};

/// Who the process becomes.
pub(super) struct Identity<'a> {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) groups: &'a [u32],
}

/// Becomes the user; before that it drops capabilities and loads the system call filter, unless the process is
/// privileged.
pub(super) fn assume(identity: &Identity<'_>, no_new_privs: bool, privileged: bool) -> io::Result<()> {
    if no_new_privs {
        rustix::thread::set_no_new_privs(true)?;
    }
    if privileged {
        return assume_privileged(identity);
    }
    drop_from_bounding_set()?;
    rustix::thread::clear_ambient_capability_set()?;
    // Loading a filter takes a privilege that is about to go; the filter allows what follows here.
    sys::load_seccomp_filter(&seccomp::program(capabilities::DEFAULT)?)?;
    become_user(identity)?;
    set_own_capabilities(Uid::from_raw(identity.uid))
}

/// Becomes the user and keeps every capability, ambient ones too: whoever the user is, what it executes has them.
fn assume_privileged(identity: &Identity<'_>) -> io::Result<()> {
    let kept = rustix::thread::capabilities(None)?.permitted;
    // Otherwise they go with user 0.
    rustix::thread::set_keep_capabilities(true)?;
    become_user(identity)?;
    rustix::thread::set_capabilities(
        None,
        CapabilitySets { effective: kept, permitted: kept, inheritable: kept },
    )?;
    for capability in kept.iter() {
        rustix::thread::configure_capability_in_ambient_set(capability, true)?;
    }
    Ok(())
}

fn become_user(identity: &Identity<'_>) -> io::Result<()> {
    let groups: Vec<Gid> = identity.groups.iter().copied().map(Gid::from_raw).collect();
    rustix::thread::set_thread_groups(&groups)?;
    let (uid, gid) = (Uid::from_raw(identity.uid), Gid::from_raw(identity.gid));
    rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    Ok(rustix::thread::set_thread_res_uid(uid, uid, uid)?)
}

fn drop_from_bounding_set() -> io::Result<()> {
    for number in 0..u64::BITS {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        if capabilities::DEFAULT.contains(capability) {
            continue;
        }
        match rustix::thread::remove_capability_from_bounding_set(capability) {
            Ok(()) => {}
            // The first number that this kernel does not know.
            Err(Errno::INVAL) => break,
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

/// Root keeps the default set as far as this process ever had it, everybody else has none; nobody has inheritable
/// ones, which a program with file capabilities could otherwise pick up.
fn set_own_capabilities(uid: Uid) -> io::Result<()> {
    let kept = if uid.is_root() {
        rustix::thread::capabilities(None)?.permitted & capabilities::DEFAULT
    } else {
        CapabilitySet::empty()
    };
    let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    Ok(rustix::thread::set_capabilities(None, sets)?)
}
