//! Files of what was solved, as clients ask for them: read, listed, looked at. Paths are resolved beneath the result's root,
//! whatever links it holds.

use std::io::{Read, Seek, SeekFrom};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use kiln_builder::images::ImageFiles;
use kiln_cache::{Node, NodeKind};
use kiln_graph::pattern::Glob;
use rustix::fs::FileType;
use tonic::{Code, Status};

use crate::api::files::Stat;
use crate::api::gateway::{FileRange, ReadDirRequest, ReadFileRequest, StatFileRequest};
use crate::build::Build;
use crate::failure::told;
use crate::server::Server;
use crate::session::files::go_mode;

/// Largest answer: what fits into a message.
const MAX_FILE: u64 = (16 << 20) - 4096;

/// The bytes of a regular file, or a part of them.
pub(super) async fn read(
    server: &Server,
    build: &Arc<Build>,
    request: ReadFileRequest,
) -> Result<Vec<u8>, Status> {
    let files = open(server, build, &request.r#ref, request.mount_index).await?;
    beside(move || {
        let path = Path::new(&request.file_path);
        let node = found(&files, path, "open")?;
        if node.kind != NodeKind::File {
            return Err(Status::unknown(format!("open {}: not a regular file", path.display())));
        }
        let (offset, length) = part(request.range, node.size)?;
        if length > MAX_FILE {
            let text =
                format!("{}: {length} bytes are more than one answer holds; ask for a range", path.display());
            return Err(Status::resource_exhausted(text));
        }
        let mut file = files.view.open(&node).map_err(|error| told(Code::Internal, &error))?;
        let mut bytes = Vec::new();
        let read = file.seek(SeekFrom::Start(offset)).and_then(|_| file.take(length).read_to_end(&mut bytes));
        read.map_err(|error| told(Code::Internal, &error))?;
        Ok(bytes)
    })
    .await
}

/// Where the part begins that is asked for, and how long it is.
fn part(range: Option<FileRange>, size: u64) -> Result<(u64, u64), Status> {
    let Some(FileRange { offset, length }) = range else { return Ok((0, size)) };
    let wrong = |_| {
        Status::invalid_argument(format!("Range: {length} bytes from byte {offset} on are no part of a file"))
    };
    let (offset, length) = (u64::try_from(offset).map_err(wrong)?, u64::try_from(length).map_err(wrong)?);
    Ok((offset, length.min(size.saturating_sub(offset))))
}

/// What is in a directory; with a pattern, only names that match it.
pub(super) async fn list(
    server: &Server,
    build: &Arc<Build>,
    request: ReadDirRequest,
) -> Result<Vec<Stat>, Status> {
    let pattern = Some(request.include_pattern.as_str()).filter(|pattern| !pattern.is_empty());
    let glob =
        pattern.map(Glob::new).transpose().map_err(|error| Status::invalid_argument(error.to_string()))?;
    let files = open(server, build, &request.r#ref, request.mount_index).await?;
    beside(move || {
        let path = Path::new(&request.dir_path);
        let resolved = files.view.resolve(path, true).map_err(|error| told(Code::Unknown, &error))?;
        let node = resolved.node.ok_or_else(|| missing(path, "open"))?;
        if node.kind != NodeKind::Directory {
            return Err(Status::unknown(format!("readdir {}: not a directory", path.display())));
        }
        let entries = files.view.read_dir(&resolved.path).map_err(|error| told(Code::Internal, &error))?;
        let named = entries.into_iter().map(|(name, node)| (name.into_encoded_bytes(), node));
        let wanted = named.filter(|(name, _)| {
            glob.as_ref().is_none_or(|glob| glob.matches(&String::from_utf8_lossy(name)))
        });
        Ok(wanted.map(|(name, node)| stat(name, &node)).collect())
    })
    .await
}

/// What lies at a path, links followed.
pub(super) async fn look(
    server: &Server,
    build: &Arc<Build>,
    request: StatFileRequest,
) -> Result<Stat, Status> {
    let files = open(server, build, &request.r#ref, request.mount_index).await?;
    beside(move || {
        let path = Path::new(&request.path);
        let resolved = files.view.resolve(path, true).map_err(|error| told(Code::Unknown, &error))?;
        let node = resolved.node.ok_or_else(|| missing(path, "lstat"))?;
        let name = resolved.path.file_name().map(|name| name.as_bytes().to_vec());
        Ok(stat(name.unwrap_or_else(|| b"/".to_vec()), &node))
    })
    .await
}

async fn open(server: &Server, build: &Arc<Build>, name: &str, mount: i32) -> Result<ImageFiles, Status> {
    if mount != 0 {
        return Err(Status::unimplemented("MountIndex: only the root of a result can be read"));
    }
    let solved = build.result(name)?.get(server, build).await?;
    let session = server.sessions.get(&build.session).await?;
    let (progress, told_all) = crate::progress::of(build);
    let files = server.builder_for(&session).images().files(&solved.record, &progress).await;
    drop(progress);
    told_all.wait().await;
    files.map_err(|error| told(Code::Unknown, &error))
}

fn found(files: &ImageFiles, path: &Path, call: &str) -> Result<Node, Status> {
    let resolved = files.view.resolve(path, true).map_err(|error| told(Code::Unknown, &error))?;
    resolved.node.ok_or_else(|| missing(path, call))
}

/// In the words that Go's library has for it, which clients look for.
fn missing(path: &Path, call: &str) -> Status {
    Status::unknown(format!("{call} {}: no such file or directory", path.display()))
}

fn stat(path: Vec<u8>, node: &Node) -> Stat {
    let link = node.link_target.as_deref().unwrap_or(Path::new(""));
    Stat {
        path,
        mode: go_mode(file_type(node.kind), node.mode),
        uid: node.uid,
        gid: node.gid,
        size: match node.kind {
            NodeKind::File | NodeKind::Symlink => i64::try_from(node.size).unwrap_or(i64::MAX),
            _ => 0,
        },
        mod_time: node.mtime.saturating_mul(1_000_000_000).saturating_add(i64::from(node.mtime_nsec)),
        linkname: link.as_os_str().as_bytes().to_vec(),
        devmajor: i64::from(node.rdev.0),
        devminor: i64::from(node.rdev.1),
        ..Stat::default()
    }
}

fn file_type(kind: NodeKind) -> FileType {
    match kind {
        NodeKind::File => FileType::RegularFile,
        NodeKind::Directory => FileType::Directory,
        NodeKind::Symlink => FileType::Symlink,
        NodeKind::BlockDevice => FileType::BlockDevice,
        NodeKind::CharDevice => FileType::CharacterDevice,
        NodeKind::Fifo => FileType::Fifo,
        NodeKind::Socket => FileType::Socket,
    }
}

/// Runs what reads the disk beside the threads that answer.
async fn beside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Status> + Send + 'static,
) -> Result<T, Status> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Status::internal("reading ended without a result"))?
}
