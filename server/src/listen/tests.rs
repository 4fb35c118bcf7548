//! Sockets that are there, were there, or are something else.

#![allow(clippy::unwrap_used)]

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;

use super::*;

fn at(path: &std::path::Path) -> Doors {
    Doors { addresses: vec![Address::Unix(path.to_owned())], ..Doors::default() }
}

#[tokio::test]
async fn a_socket_is_its_owners_and_goes_with_the_daemon() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("deep/b.sock");
    let own = rustix::process::getgid().as_raw();
    let open = Doors { owner: Owner { uid: None, gid: Some(own) }, ..at(&path) }.open().await.unwrap();
    let metadata = std::fs::metadata(&path).unwrap();
    assert_eq!((metadata.permissions().mode() & 0o777, metadata.gid()), (0o660, own));
    UnixStream::connect(&path).unwrap();
    assert_eq!(open.strangers().count(), 0);
    drop(open);
    assert!(!path.exists());
    assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_stale_socket_is_replaced_and_a_live_one_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("b.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let first = at(&path).open().await.unwrap();
    let error = at(&path).open().await.unwrap_err();
    assert!(matches!(&error, ListenError::Taken { .. }), "{error}");
    UnixStream::connect(&path).unwrap();
    drop(first);
    at(&path).open().await.unwrap();
}

#[tokio::test]
async fn a_socket_of_another_daemon_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("b.sock");
    let first = at(&path).open().await.unwrap();
    std::fs::remove_file(&path).unwrap();
    let second = at(&path).open().await.unwrap();
    drop(first);
    UnixStream::connect(&path).unwrap();
    drop(second);
    assert!(!path.exists());
}

#[tokio::test]
async fn a_file_that_is_no_socket_stays() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("b.sock");
    std::fs::write(&path, "precious").unwrap();
    let error = at(&path).open().await.unwrap_err();
    assert!(matches!(&error, ListenError::NotASocket { .. }), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
}

#[tokio::test]
async fn all_addresses_are_opened_or_none() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("b.sock");
    let mut doors = at(&path);
    doors.addresses.push(Address::Inherited(None));
    let error = doors.open().await.unwrap_err().to_string();
    assert!(error.contains("fd://") && error.contains("0 sockets"), "{error}");
    assert!(!path.exists());
    assert!(matches!(Doors::default().open().await, Err(ListenError::Nowhere)));
}

#[tokio::test]
async fn sockets_that_were_handed_over_are_used() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("b.sock");
    let unix = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let doors = Doors {
        addresses: vec![Address::Inherited(Some(1)), Address::Inherited(None)],
        inherited: vec![unix.into(), tcp.into()],
        ..Doors::default()
    };
    let open = doors.open().await.unwrap();
    let kinds: Vec<_> =
        open.listeners.iter().map(|listener| matches!(listener.kind, ListenerKind::Tcp(_))).collect();
    assert_eq!(kinds, [true, false]);
    assert_eq!(open.strangers().collect::<Vec<_>>(), ["fd://4"]);
    drop(open);
    assert!(path.exists(), "whoever made a socket removes it");
}

#[test]
fn tls_needs_both_halves_and_files_that_hold_them() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("x.pem");
    std::fs::write(&file, "nothing").unwrap();
    let some = || Some(file.clone());
    for (cert, key, ca, said) in [
        (some(), None, None, "--tlskey"),
        (None, some(), some(), "--tlscert"),
        (None, None, some(), "of the daemon's own"),
        (some(), some(), None, "holds no certificate"),
        (Some(directory.path().join("none")), some(), None, "cannot read"),
    ] {
        let error = tls::read(&TlsFiles { cert, key, ca }).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
    assert!(tls::read(&TlsFiles::default()).unwrap().is_none());
}

#[test]
fn systemd_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notify");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    tell(path.as_os_str(), Readiness::Ready).unwrap();
    let mut message = [0; 64];
    let length = socket.recv(&mut message).unwrap();
    assert_eq!(&message[..length], b"READY=1");
}

#[test]
fn groups_have_names_and_numbers() {
    let groups = "root:x:0:\ndocker:x:998:me\nbroken\n";
    assert_eq!(
        ["docker", "7", "nobody", "broken"].map(|name| group(name, groups)),
        [Some(998), Some(7), None, None]
    );
}
