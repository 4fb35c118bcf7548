//! From root on the host to the user in the sandbox. What is given up here cannot be got back.
//!
//! Used by [`super::perform`] as the last step before the command is executed.

use std::io;

use rustix::fs::{Gid, Uid};
use rustix::io::Errno;
use rustix::thread::{CapabilitySet, CapabilitySets};

use crate::{capabilities, seccomp, sys};

/// Drops capabilities, loads the system call filter and becomes the user.
pub(super) fn assume(uid: u32, gid: u32, groups: &[u32], no_new_privs: bool) -> io::Result<()> {
    if no_new_privs {
        rustix::thread::set_no_new_privs(true)?;
    }
    drop_from_bounding_set()?;
    rustix::thread::clear_ambient_capability_set()?;
    // Loading a filter takes a privilege that is about to go; the filter allows what follows here.
    sys::load_seccomp_filter(&seccomp::program(capabilities::DEFAULT)?)?;
    let groups: Vec<Gid> = groups.iter().copied().map(Gid::from_raw).collect();
    rustix::thread::set_thread_groups(&groups)?;
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    rustix::thread::set_thread_res_uid(uid, uid, uid)?;
    set_own_capabilities(uid)
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
