//! Sockets in the file system: made for a user and a group, and gone when the daemon is.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

use super::{ListenError, Owner};

/// What the socket's user and group may do: everything that a socket is for.
const MODE: u32 = 0o660;

/// The name of a socket, which goes away with this.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Another daemon may have put its own socket there meanwhile.
        let is_own = fs::symlink_metadata(&self.path)
            .is_ok_and(|found| (found.dev(), found.ino()) == (self.device, self.inode));
        if is_own {
            // A name that is left over is replaced by the next daemon.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Listens at a path. A socket that nobody listens at any more is replaced.
pub(super) fn bind(
    path: PathBuf,
    owner: Owner,
    address: &str,
) -> Result<(UnixListener, SocketFile), ListenError> {
    let failed = |source| ListenError::Address { address: address.to_owned(), source };
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    match state(&path).map_err(failed)? {
        State::Free => {}
        State::Stale => fs::remove_file(&path).map_err(failed)?,
        State::Live => return Err(ListenError::Taken { address: address.to_owned() }),
        State::Other => return Err(ListenError::NotASocket { address: address.to_owned() }),
    }
    let (listener, metadata) = make(&path, owner).map_err(failed)?;
    Ok((listener, SocketFile { path, device: metadata.dev(), inode: metadata.ino() }))
}

/// What is at a path.
enum State {
    Free,
    Stale,
    Live,
    Other,
}

fn state(path: &Path) -> io::Result<State> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(State::Free),
        Err(error) => return Err(error),
    };
    if !metadata.file_type().is_socket() {
        return Ok(State::Other);
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Ok(State::Live),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(State::Stale),
        Err(error) => Err(error),
    }
}

/// The socket gets its name only when it belongs to whom it should: nobody else can come in before.
fn make(path: &Path, owner: Owner) -> io::Result<(UnixListener, fs::Metadata)> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", std::process::id()));
    let beside = path.with_file_name(name);
    let listener = UnixListener::bind(&beside)?;
    let finished = (|| {
        std::os::unix::fs::chown(&beside, owner.uid, owner.gid)?;
        fs::set_permissions(&beside, Permissions::from_mode(MODE))?;
        fs::rename(&beside, path)?;
        fs::symlink_metadata(path)
    })();
    match finished {
        Ok(metadata) => Ok((listener, metadata)),
        Err(error) => {
            // The first error says what is wrong.
            let _ = fs::remove_file(&beside);
            Err(error)
        }
    }
}
