//! `kiln cache`: cache mounts by name. Which there are, removing them, and letting them travel.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use kiln_cache::archive::{Packing, SNIFF, decoder, encoder, sniff};
use kiln_cache::{CacheMount, CacheMountError, CacheMounts, CacheName, TravellingCache};

use crate::error::CliError;
use crate::flags::storage::{
    CacheCommand, CacheExportFlags, CacheImportFlags, CacheListFlags, CacheRemoveFlags,
};
use crate::output::{self, format, size, storage};
use crate::session::Session;

/// Mode of a mount that is given an owner and no mode.
const MODE: u32 = 0o755;

/// Performs one of the commands on cache mounts.
pub fn perform(command: &CacheCommand, session: &Session) -> Result<(), CliError> {
    let mounts = session.store()?.mounts();
    match command {
        CacheCommand::Ls(flags) => list(flags, &mounts),
        CacheCommand::Rm(flags) => remove(flags, &mounts),
        CacheCommand::Export(flags) => export(flags, &mounts),
        CacheCommand::Import(flags) => import(flags, &mounts),
    }
}

fn list(flags: &CacheListFlags, mounts: &CacheMounts) -> Result<(), CliError> {
    let (mounts, now) = (mounts.list()?, Timestamp::now());
    if flags.quiet {
        return output::print(
            &mounts.iter().flat_map(|mount| [mount.id(), "\n".to_owned()]).collect::<String>(),
        );
    }
    let rows: Vec<_> = mounts.iter().map(|mount| storage::mount(mount, now)).collect();
    output::print(&format::rows(flags.format.as_deref(), storage::MOUNTS, &rows).map_err(CliError::usage)?)
}

fn remove(flags: &CacheRemoveFlags, mounts: &CacheMounts) -> Result<(), CliError> {
    let mut bytes = 0;
    if flags.all {
        // Those that builds use stay: they are no reason to fail.
        for mount in mounts.list()?.iter().filter(|mount| !mount.in_use()) {
            bytes += removed(mounts, mount)?;
        }
    }
    for id in &flags.ids {
        let found = mounts.find(id)?;
        if found.is_empty() && !flags.force {
            return Err(CacheMountError::Unknown { id: id.clone() }.into());
        }
        for mount in &found {
            bytes += removed(mounts, mount)?;
        }
    }
    output::print_line(&format!("Total reclaimed space: {}", size::exact(bytes)))
}

fn removed(mounts: &CacheMounts, mount: &CacheMount) -> Result<u64, CliError> {
    let bytes = mounts.remove(mount)?;
    output::print_line(&format!("Deleted: {}", mount.id()))?;
    Ok(bytes)
}

fn export(flags: &CacheExportFlags, mounts: &CacheMounts) -> Result<(), CliError> {
    let mount = one(&flags.id, mounts.find(&flags.id)?)?;
    let mount = mount.ok_or_else(|| CacheMountError::Unknown { id: flags.id.clone() })?;
    let Some(path) = flags.output.as_deref().filter(|path| *path != Path::new("-")) else {
        let stdout = io::stdout().lock();
        if stdout.is_terminal() {
            return Err(CliError::usage_with_hint(
                "an archive is not for a terminal",
                "name a file with --output, or redirect standard output",
            ));
        }
        let travelling = packed(mounts, &mount, stdout, Packing::Plain, CliError::standard_output)?;
        told(&mount.id(), "exported", &travelling);
        return Ok(());
    };
    let packing = match path.extension().and_then(|extension| extension.to_str()) {
        Some("gz" | "tgz") => Packing::Gzip,
        Some("zst" | "tzst") => Packing::Zstd,
        _ => Packing::Plain,
    };
    // Beside it first: half an archive never has the name of a whole one.
    let beside = beside(path);
    let file = File::create(&beside).map_err(CliError::file("create", &beside))?;
    let written = packed(mounts, &mount, file, packing, CliError::file("write", &beside));
    let done = written.and_then(|travelling| {
        std::fs::rename(&beside, path).map_err(CliError::file("write", path)).map(|()| travelling)
    });
    match done {
        Ok(travelling) => {
            told(&mount.id(), "exported", &travelling);
            Ok(())
        }
        Err(error) => {
            drop(std::fs::remove_file(&beside));
            Err(error)
        }
    }
}

fn packed(
    mounts: &CacheMounts,
    mount: &CacheMount,
    out: impl Write,
    packing: Packing,
    failed: impl FnOnce(io::Error) -> CliError,
) -> Result<TravellingCache, CliError> {
    let finish = |mut out: BufWriter<_>| -> io::Result<()> { Write::flush(&mut out) };
    let mut encoder = match encoder(packing, BufWriter::with_capacity(256 * 1024, out)) {
        Ok(encoder) => encoder,
        Err(error) => return Err(failed(error)),
    };
    let travelling = mounts.export(mount, &mut encoder)?;
    encoder.finish().and_then(finish).map_err(failed)?;
    Ok(travelling)
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    PathBuf::from(name)
}

fn import(flags: &CacheImportFlags, mounts: &CacheMounts) -> Result<(), CliError> {
    let name = name(flags, mounts)?;
    let digest = flags.digest.as_deref().map(|text| {
        text.parse()
            .map_err(|_| CliError::usage(format!("`{text}` is no digest: it is `sha256:` and 64 digits")))
    });
    let digest = digest.transpose()?;
    let path = flags.input.as_deref().filter(|path| *path != Path::new("-"));
    let (mut stream, place): (Box<dyn Read + Send>, &Path) = match path {
        Some(path) => (Box::new(File::open(path).map_err(CliError::file("open", path))?), path),
        None => (Box::new(io::stdin()), Path::new("standard input")),
    };
    let mut start = Vec::with_capacity(SNIFF);
    let read = stream.by_ref().take(SNIFF as u64).read_to_end(&mut start);
    read.map_err(CliError::file("read", place))?;
    let Some(packing) = sniff(&start) else {
        return Err(CliError::usage_with_hint(
            format!("{} is no tar archive", place.display()),
            "`kiln cache export` writes one; gzip, bzip2, xz and zstd are unpacked",
        ));
    };
    let damaged =
        |error| CliError::File { action: "read", path: place.to_owned(), source: io::Error::other(error) };
    let tar = decoder(packing, io::Cursor::new(start).chain(stream)).map_err(damaged)?;
    let travelling = mounts.import(&name, tar, digest.as_ref())?;
    told(&name.id, "imported", &travelling);
    Ok(())
}

/// The mount that is meant: one that is there, or the one that a step with that id would make.
fn name(flags: &CacheImportFlags, mounts: &CacheMounts) -> Result<CacheName, CliError> {
    let (namespace, mode) = (flags.namespace.clone(), flags.mode.as_deref());
    let mode = mode.map(|text| {
        u32::from_str_radix(text, 8)
            .ok()
            .filter(|mode| *mode <= 0o7777)
            .ok_or_else(|| CliError::usage(format!("`{text}` is no mode: it is an octal number up to 7777")))
    });
    let mode = mode.transpose()?;
    if namespace.is_none() && mode.is_none() && flags.uid.is_none() && flags.gid.is_none() {
        if let Some(name) = one(&flags.id, mounts.find(&flags.id)?)?.and_then(|mount| mount.name) {
            return Ok(name);
        }
        return Ok(CacheName::new(&flags.id));
    }
    let chosen = mode.is_some() || flags.uid.is_some() || flags.gid.is_some();
    let access = chosen.then(|| (mode.unwrap_or(MODE), flags.uid.unwrap_or(0), flags.gid.unwrap_or(0)));
    Ok(CacheName { namespace: namespace.unwrap_or_default(), access, ..CacheName::new(&flags.id) })
}

/// The only one of these, if there is one.
fn one(id: &str, mut found: Vec<CacheMount>) -> Result<Option<CacheMount>, CliError> {
    if found.len() > 1 {
        let keys: Vec<String> =
            found.iter().map(|mount| mount.key.to_string().chars().take(12).collect()).collect();
        return Err(CliError::usage_with_hint(
            format!(
                "{} cache mounts have the id `{id}`: they differ in namespace, seed, mode or owner",
                found.len()
            ),
            format!("name one by its key: {}", keys.join(", ")),
        ));
    }
    Ok(found.pop())
}

/// Says what travelled, with the digest that the other side can ask for. Standard output may be the archive.
fn told(id: &str, done: &str, travelling: &TravellingCache) {
    let TravellingCache { digest, size } = travelling;
    output::remark(&format!("{done} cache mount {id}: {} as a tar, {digest}", size::exact(*size)));
}
