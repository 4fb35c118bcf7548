//! System call numbers by machine type: text tables taken from the kernel's headers.
//!
//! Read by [`super::program`]. A line is `number name`; lines that start with `#` say where the rest is from.

use std::num::ParseIntError;

/// The calls of a machine type.
pub(super) struct Table {
    /// `AUDIT_ARCH_*` of `linux/audit.h`: the ELF machine number, with flags for 64 bits and little endian.
    pub(super) architecture: u32,
    pub(super) text: &'static str,
}

/// The types that programs on this machine may have.
#[cfg(target_arch = "x86_64")]
pub(super) const MACHINES: &[Table] = &[
    Table { architecture: 0xc000_003e, text: include_str!("x86_64.txt") },
    Table { architecture: 0x4000_0003, text: include_str!("i386.txt") },
];

/// The types that programs on this machine may have.
#[cfg(target_arch = "aarch64")]
pub(super) const MACHINES: &[Table] =
    &[Table { architecture: 0xc000_00b7, text: include_str!("aarch64.txt") }];

/// The numbers and names of a table.
pub(super) fn entries(text: &str) -> impl Iterator<Item = Result<(u32, &str), ParseIntError>> {
    text.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let (number, name) = line.split_once(' ').unwrap_or((line, ""));
        Ok((number.parse()?, name))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn all_tables_can_be_read_and_ascend() {
        for text in [include_str!("x86_64.txt"), include_str!("i386.txt"), include_str!("aarch64.txt")] {
            let numbers: Vec<u32> = entries(text).map(|entry| entry.unwrap().0).collect();
            assert!(numbers.len() > 300);
            assert!(numbers.is_sorted_by(|a, b| a < b));
        }
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn numbers_are_those_of_the_c_library() {
        let find = |wanted: &str| {
            let entry = entries(MACHINES[0].text).map(Result::unwrap).find(|(_, name)| *name == wanted);
            i64::from(entry.unwrap().0)
        };
        assert_eq!(find("execve"), libc::SYS_execve);
        assert_eq!(find("clone3"), libc::SYS_clone3);
        assert_eq!(find("socket"), libc::SYS_socket);
        assert_eq!(find("unshare"), libc::SYS_unshare);
        assert_eq!(find("openat2"), libc::SYS_openat2);
        assert_eq!(find("arch_prctl"), libc::SYS_arch_prctl);
    }
}
