//! What the commands of the model's builds do. This very binary is `/bin/probe` in their base images.
//!
//! `probe all FILE` writes the digest of everything that it can see into FILE: every path with type, mode, owner, link target,
//! attributes and content, the variables, the arguments, user, groups, directory and host name. Times are not in it. On its
//! standard output is a digest that covers the times, too, outside of mounts: what kiln may take for another root.
//! Other words make other results: `const FILE` always the same, `read FILE PATH` of one file, `change` edits the root.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// Where it is in the base images.
pub const PATH: &str = "/bin/probe";

/// How a command says what it saw.
pub const SAW: &str = "saw ";

/// The kernel's own, what the sandbox always shows, and caches, which must not matter.
const UNSEEN: [&str; 5] = ["/proc", "/sys", "/dev", "/cache", PATH];

/// Where mounts appear: content counts there, times do not.
const MOUNTS: [&str; 2] = ["/mnt", "/etc"];

/// Is the probe if it was started under that name.
pub fn run_if_asked() {
    let mut arguments = std::env::args().collect::<Vec<_>>();
    if arguments.first().is_none_or(|name| name != PATH) {
        return;
    }
    // As a shell it gets one text.
    if arguments.get(1).is_some_and(|word| word == "-c") {
        let words = arguments[2].split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        arguments.splice(1.., words);
    }
    let words: Vec<&str> = arguments.iter().skip(1).map(String::as_str).collect();
    let seen = everything();
    // What another user does not see may still have changed, and roots with hard links are not compared.
    if rustix::process::getuid().is_root() && seen.links.is_empty() {
        println!("{SAW}{}", hex(&format!("{}{}", seen.loose, seen.times)));
    }
    match words.as_slice() {
        ["all", file] => put(file, &hex(&seen.loose)),
        ["const", file] => put(file, "always the same\n"),
        ["read", file, path] => {
            let content = fs::read(path).unwrap_or_else(|error| error.to_string().into_bytes());
            put(file, &hex(&String::from_utf8_lossy(&content)));
        }
        ["change", verb, path] => change(verb, Path::new(path)),
        other => panic!("the probe does not know {other:?}"),
    }
    std::process::exit(0);
}

/// Writes a file. What cannot be done is left alone: that is a function of what is there, too.
fn put(file: &str, text: &str) {
    drop(fs::create_dir_all(Path::new(file).parent().unwrap()));
    drop(fs::write(file, text));
}

/// Changes the root, if that can be done.
fn change(verb: &str, path: &Path) {
    let beside = path.with_extension("beside");
    match verb {
        "remove" => drop(fs::remove_file(path).or_else(|_| fs::remove_dir_all(path))),
        "mode" => drop(fs::set_permissions(path, fs::Permissions::from_mode(0o711))),
        "move" => drop(fs::rename(path, &beside)),
        "link" => drop(fs::hard_link(path, &beside)),
        "symlink" => drop(std::os::unix::fs::symlink(path, &beside)),
        "again" => drop(fs::remove_dir_all(path).and_then(|()| fs::create_dir(path))),
        "append" => {
            if let Ok(mut text) = fs::read(path) {
                text.push(b'+');
                drop(fs::write(path, text));
            }
        }
        "root" => drop(fs::set_permissions("/", fs::Permissions::from_mode(0o700))),
        _ => panic!("the probe cannot {verb}"),
    }
}

/// What can be seen, and the times of it.
struct Seen {
    loose: String,
    times: String,
    /// The first path of each file that has several.
    links: BTreeMap<(u64, u64), PathBuf>,
}

fn everything() -> Seen {
    let mut seen = Seen { loose: String::new(), times: String::new(), links: BTreeMap::new() };
    for (name, value) in std::env::vars_os() {
        writeln!(seen.loose, "variable {name:?}={value:?}").unwrap();
    }
    writeln!(seen.loose, "arguments {:?}", std::env::args_os().collect::<Vec<_>>()).unwrap();
    writeln!(seen.loose, "directory {:?}", std::env::current_dir().ok()).unwrap();
    let ids = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    let groups = rustix::process::getgroups().unwrap();
    let groups: Vec<u32> = groups.into_iter().map(rustix::process::Gid::as_raw).collect();
    writeln!(seen.loose, "user {ids:?} {groups:?}").unwrap();
    writeln!(seen.loose, "host {:?}", rustix::system::uname().nodename()).unwrap();
    seen.directory(Path::new("/"));
    seen
}

impl Seen {
    fn directory(&mut self, dir: &Path) {
        let Ok(listing) = fs::read_dir(dir) else {
            return writeln!(self.loose, "closed {dir:?}").unwrap();
        };
        let mut paths: Vec<PathBuf> = listing.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        for path in paths {
            if UNSEEN.iter().any(|unseen| path == Path::new(unseen)) {
                continue;
            }
            // Something in a directory that may be listed but not entered.
            let Ok(metadata) = fs::symlink_metadata(&path) else {
                writeln!(self.loose, "unknown {path:?}").unwrap();
                continue;
            };
            self.file(&path, &metadata);
            if metadata.is_dir() {
                self.directory(&path);
            }
        }
    }

    fn file(&mut self, path: &Path, metadata: &Metadata) {
        let kind = metadata.file_type();
        let content = if kind.is_file() {
            fs::read(path).map_or_else(|_| "closed".to_owned(), |bytes| hex_of(&bytes))
        } else if kind.is_symlink() {
            format!("{:?}", fs::read_link(path).unwrap())
        } else if kind.is_char_device() || kind.is_block_device() {
            metadata.rdev().to_string()
        } else {
            String::new()
        };
        let (mode, uid, gid) = (metadata.mode(), metadata.uid(), metadata.gid());
        let xattr = attribute(path);
        writeln!(self.loose, "{path:?} {mode:o} {uid}:{gid} {content} {xattr:?}").unwrap();
        if kind.is_file() && metadata.nlink() > 1 {
            let first = self.links.entry((metadata.dev(), metadata.ino())).or_insert_with(|| path.to_owned());
            writeln!(self.loose, "is {first:?}").unwrap();
        }
        let is_mount = MOUNTS.iter().any(|mount| path.starts_with(mount));
        if !is_mount {
            writeln!(self.times, "{path:?} {}", metadata.mtime()).unwrap();
        }
    }
}

/// The attribute that the model's contexts use.
fn attribute(path: &Path) -> Option<String> {
    let mut value = [0; 64];
    let length = rustix::fs::lgetxattr(path, OsStr::new("user.model"), &mut value).ok()?;
    Some(OsStr::from_bytes(&value[..length]).to_string_lossy().into_owned())
}

fn hex(text: &str) -> String {
    hex_of(text.as_bytes())
}

/// SHA-256 in hexadecimal digits.
pub fn hex_of(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
