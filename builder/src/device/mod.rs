//! The machine's devices under their names: specifications of the Container Device Interface (CDI), and which devices
//! a name stands for.
//!
//! [`specification`] is what such a file says, [`edits`] what a command gets of it. Read once for a build, and only if a
//! step of it asks for devices. Called by [`crate::solve`] (entitlements) and [`crate::step::exec`]. Names are looked up
//! as BuildKit does: `vendor.com/class=name`, `vendor.com/class` (the first), `vendor.com/class=*` (all), or the class
//! that a device's annotation gives it.

mod edits;
mod specification;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kiln_graph::Graph;
use kiln_graph::op::Op;

pub(crate) use self::edits::Edits;
use self::specification::{Format, Specification};

/// The annotation that gives devices a name in common.
const CLASS: &str = "org.mobyproject.buildkit.device.class";

/// The annotation of a device that every build may use.
const AUTO_ALLOW: &str = "org.mobyproject.buildkit.device.autoallow";

/// The largest specification that is read; real ones have some kilobytes.
const MAX_FILE: u64 = 4 << 20;

/// Why a device cannot be given to a command.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// No device has that name.
    #[error("there is no device `{name}` in {directories}{problems}")]
    Unknown {
        /// As asked for.
        name: String,
        /// Where it was looked for.
        directories: String,
        /// Files that could not be read, each with its reason: the device may stand there.
        problems: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// The device's description asks for something that kiln does not do.
    #[error("the device `{device}` cannot be used: {file} asks for {what}, which kiln does not do", file = file.display())]
    Unsupported {
        /// Its full name.
        device: String,
        /// Where it is described.
        file: PathBuf,
        /// What it asks for.
        what: String,
    },
    /// Something of the host that belongs to the device is not there, or not what it should be.
    #[error("the device `{device}` cannot be used: cannot find {path} of {file}", path = path.display(), file = file.display())]
    Missing {
        /// Its full name.
        device: String,
        /// Where it is described.
        file: PathBuf,
        /// The path on the host.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

impl DeviceError {
    /// What the user can do.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown { known, .. } if known.is_empty() => Some(
                "no device is described there; the tool of the device's vendor writes the description"
                    .to_owned(),
            ),
            Self::Unknown { known, .. } => Some(format!("there are {}", known.join(", "))),
            _ => None,
        }
    }
}

/// The devices of this machine.
#[derive(Debug, Default)]
pub(crate) struct Devices {
    /// By full name.
    known: BTreeMap<String, Described>,
    directories: Vec<PathBuf>,
    /// Those of them that are described twice in one directory; nobody gets them.
    doubtful: BTreeSet<String>,
    /// What could not be read, and why.
    problems: Vec<String>,
}

/// Where a device is described.
#[derive(Debug, Clone)]
struct Described {
    specification: Arc<Specification>,
    file: Arc<PathBuf>,
    /// The rank of its directory: the last one wins.
    rank: usize,
    /// Its number in the specification.
    index: usize,
}

impl Devices {
    /// The devices that the steps of a graph may ask for: none is looked for if none asks.
    pub(crate) fn for_graph(graph: &Graph, directories: &[PathBuf]) -> Devices {
        let asks = |op: &Op| matches!(op, Op::Exec(exec) if !exec.devices.is_empty());
        if graph.iter().any(|(_, vertex)| asks(&vertex.op)) {
            Devices::read(directories)
        } else {
            Devices::default()
        }
    }

    /// Reads all specifications in the directories, of which later ones win. What cannot be read is remembered, to be
    /// told when a device is missed.
    pub(crate) fn read(directories: &[PathBuf]) -> Devices {
        let mut devices = Devices { directories: directories.to_vec(), ..Devices::default() };
        for (rank, directory) in directories.iter().enumerate() {
            match files(directory) {
                Ok(files) => files.into_iter().for_each(|(path, format)| devices.add(path, format, rank)),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => devices.problem(directory, &error.to_string()),
            }
        }
        let doubtful = std::mem::take(&mut devices.doubtful);
        devices.known.retain(|name, _| !doubtful.contains(name));
        devices
    }

    fn add(&mut self, path: PathBuf, format: Format, rank: usize) {
        let parsed = text(&path)
            .map_err(|error| error.to_string())
            .and_then(|text| Specification::parse(&text, format));
        let specification = match parsed {
            Ok(specification) => Arc::new(specification),
            Err(problem) => return self.problem(&path, &problem),
        };
        let file = Arc::new(path);
        for (index, device) in specification.devices.iter().enumerate() {
            let name = format!("{}={}", specification.kind, device.name);
            let described =
                Described { specification: Arc::clone(&specification), file: Arc::clone(&file), rank, index };
            match self.known.get(&name) {
                // Nobody can say which of the two is meant.
                Some(other) if other.rank == rank => {
                    let problem = format!("`{name}` is described in {} too", other.file.display());
                    self.doubtful.insert(name);
                    self.problem(&file, &problem);
                }
                _ => {
                    self.doubtful.remove(&name);
                    self.known.insert(name, described);
                }
            }
        }
    }

    fn problem(&mut self, path: &Path, problem: &str) {
        self.problems.push(format!("{}: {problem}", path.display()));
    }

    /// The full names of the devices that a name stands for; none if there is no such device.
    pub(crate) fn named(&self, name: &str) -> Vec<&str> {
        let all = || self.known.keys().map(String::as_str);
        let mut found: Vec<&str> = match name.split_once('=') {
            Some((kind, "*")) => all().filter(|full| is_of_kind(full, kind)).collect(),
            Some(_) => all().filter(|full| *full == name).collect(),
            None if name.contains('/') => all().find(|full| is_of_kind(full, name)).into_iter().collect(),
            None => Vec::new(),
        };
        if found.is_empty() {
            found = all().filter(|full| self.annotation(full, CLASS) == Some(name)).collect();
        }
        found
    }

    /// Whether every build may use the device with this full name.
    pub(crate) fn is_open(&self, full: &str) -> bool {
        self.annotation(full, AUTO_ALLOW)
            .is_some_and(|value| ["true", "1", "t", "True", "TRUE", "T"].contains(&value))
    }

    /// An annotation of the device, else of its whole specification.
    fn annotation(&self, full: &str, key: &str) -> Option<&str> {
        let described = self.known.get(full)?;
        let own = described.specification.devices.get(described.index)?.annotations.get(key);
        own.or_else(|| described.specification.annotations.get(key)).map(specification::Scalar::as_str)
    }

    fn unknown(&self, name: &str) -> DeviceError {
        let shown: Vec<String> = self.directories.iter().map(|path| path.display().to_string()).collect();
        let problems = match self.problems.as_slice() {
            [] => String::new(),
            problems => format!(" (not read: {})", problems.join("; ")),
        };
        DeviceError::Unknown {
            name: name.to_owned(),
            directories: shown.join(", "),
            problems,
            known: self.known.keys().cloned().collect(),
        }
    }
}

fn is_of_kind(full: &str, kind: &str) -> bool {
    full.strip_prefix(kind).is_some_and(|rest| rest.starts_with('='))
}

/// The specifications in a directory, sorted by name.
fn files(directory: &Path) -> std::io::Result<Vec<(PathBuf, Format)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let format = match path.extension().and_then(std::ffi::OsStr::to_str) {
            Some("json") => Format::Json,
            Some("yaml" | "yml") => Format::Yaml,
            _ => continue,
        };
        found.push((path, format));
    }
    found.sort();
    Ok(found)
}

fn text(path: &Path) -> std::io::Result<String> {
    // Opening a FIFO would wait for a writer.
    if !std::fs::metadata(path)?.is_file() {
        return Err(std::io::Error::other("not a regular file"));
    }
    let mut text = String::new();
    std::fs::File::open(path)?.take(MAX_FILE + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE {
        return Err(std::io::Error::other(format!("larger than {MAX_FILE} bytes")));
    }
    Ok(text)
}
