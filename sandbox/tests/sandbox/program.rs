//! Tiny ELF programs that make one system call and exit with its error number, to ask what the kernel answers without
//! a C library in between.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Writes a program that calls `number(argument, 0, …)` and exits with 0 or the error number.
pub fn write(path: &Path, number: u32, argument: u32) {
    write_elf(
        path,
        &[
            // xor esi,esi; xor edx,edx; xor r10d,r10d; mov edi,ARGUMENT; mov eax,NUMBER; syscall
            &[0x31, 0xf6, 0x31, 0xd2, 0x45, 0x31, 0xd2, 0xbf],
            &argument.to_le_bytes(),
            &[0xb8],
            &number.to_le_bytes(),
            &[0x0f, 0x05],
            EXIT_WITH_ERROR,
        ],
    );
}

/// The same through the 32-bit entry of the kernel, with 32-bit numbers.
pub fn write_32_bit(path: &Path, number: u32, argument: u32) {
    write_elf(
        path,
        &[
            // xor ecx,ecx; xor edx,edx; mov ebx,ARGUMENT; mov eax,NUMBER; int 0x80
            &[0x31, 0xc9, 0x31, 0xd2, 0xbb],
            &argument.to_le_bytes(),
            &[0xb8],
            &number.to_le_bytes(),
            &[0xcd, 0x80],
            EXIT_WITH_ERROR,
        ],
    );
}

/// xor edi,edi; test eax,eax; jns +4; mov edi,eax; neg edi; mov eax,60 (exit); syscall
const EXIT_WITH_ERROR: &[u8] =
    &[0x31, 0xff, 0x85, 0xc0, 0x79, 0x04, 0x89, 0xc7, 0xf7, 0xdf, 0xb8, 60, 0, 0, 0, 0x0f, 0x05];

fn write_elf(path: &Path, code: &[&[u8]]) {
    const BASE: u64 = 0x40_0000;
    const HEADERS: u64 = 64 + 56;
    let code = code.concat();
    let size = HEADERS + code.len() as u64;
    let mut file = Vec::new();
    file.extend([0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    // An executable for x86-64, entered right behind the headers.
    file.extend([2, 0, 62, 0, 1, 0, 0, 0]);
    for value in [BASE + HEADERS, 64, 0] {
        file.extend(value.to_le_bytes());
    }
    file.extend([0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    // One segment: all of the file, readable and executable.
    file.extend([1, 0, 0, 0, 5, 0, 0, 0]);
    for value in [0, BASE, BASE, size, size, 0x1000] {
        file.extend(value.to_le_bytes());
    }
    file.extend(code);
    fs::write(path, file).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}
