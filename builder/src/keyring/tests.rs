//! Keys that OpenSSH makes, and signatures that it verifies.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::process::{Command, Stdio};

use super::*;

/// A file with a new key of this kind.
fn key(dir: &Path, args: &[&str], passphrase: &str) -> PathBuf {
    let path = dir.join("key");
    drop(fs::remove_file(&path));
    let made = Command::new("ssh-keygen")
        .args(["-q", "-C", "its comment", "-N", passphrase])
        .args(args)
        .arg("-f")
        .arg(&path)
        .output()
        .expect("ssh-keygen (openssh-client) is installed");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    path
}

fn read(path: &Path) -> Result<Keyring, KeyError> {
    let content = fs::read(path).unwrap();
    Keyring::new([(path, content.as_slice())])
}

fn message(kind: u8, parts: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut body = Writer::default();
    body.byte(kind);
    parts(&mut body);
    let mut message = Writer::default();
    message.string(&body.into_bytes());
    message.into_bytes()
}

/// Key and comment of the only identity.
fn identity(keyring: &Keyring) -> (Vec<u8>, String) {
    let answer = keyring.answer(&message(REQUEST_IDENTITIES, |_| ()));
    assert_eq!(answer[4], IDENTITIES_ANSWER);
    let mut reader = Reader::new(&answer[5..]);
    assert_eq!(reader.number(), Some(1));
    let (public, comment) = (reader.string().unwrap(), reader.string().unwrap());
    (public.to_vec(), String::from_utf8(comment.to_vec()).unwrap())
}

fn sign(keyring: &Keyring, public: &[u8], data: &[u8], flags: u32) -> Option<Vec<u8>> {
    let answer = keyring.answer(&message(SIGN_REQUEST, |body| {
        body.string(public);
        body.string(data);
        body.number(flags);
    }));
    (answer[4] == SIGN_RESPONSE).then(|| Reader::new(&answer[5..]).string().unwrap().to_vec())
}

/// The signature as `ssh-keygen -Y` reads it (PROTOCOL.sshsig): made of a message that it signs in place of the file.
fn verified(dir: &Path, keyring: &Keyring, public: &[u8], flags: u32) -> bool {
    use sha2::{Digest as _, Sha512};
    let text = b"what is signed";
    let mut signed = Writer::default();
    signed.string(b"file");
    signed.string(b"");
    signed.string(b"sha512");
    signed.string(&Sha512::digest(text));
    let data = [b"SSHSIG", signed.into_bytes().as_slice()].concat();
    let signature = sign(keyring, public, &data, flags).unwrap();
    let mut blob = Writer::default();
    blob.number(1);
    blob.string(public);
    blob.string(b"file");
    blob.string(b"");
    blob.string(b"sha512");
    blob.string(&signature);
    let blob = [b"SSHSIG", blob.into_bytes().as_slice()].concat();
    fs::write(dir.join("blob"), blob).unwrap();
    let coded = Command::new("base64").arg("--wrap=70").arg(dir.join("blob")).output().unwrap();
    let coded = String::from_utf8(coded.stdout).unwrap();
    let armoured = format!("-----BEGIN SSH SIGNATURE-----\n{coded}-----END SSH SIGNATURE-----\n");
    fs::write(dir.join("sig"), armoured).unwrap();
    fs::write(dir.join("text"), text).unwrap();
    let checked = Command::new("ssh-keygen")
        .args(["-Y", "check-novalidate", "-n", "file", "-s"])
        .arg(dir.join("sig"))
        .stdin(Stdio::from(fs::File::open(dir.join("text")).unwrap()))
        .output()
        .unwrap();
    checked.status.success()
}

#[test]
fn openssh_verifies_what_each_kind_of_key_signs() {
    let dir = tempfile::tempdir().unwrap();
    for (args, flags) in [
        (&["-t", "ed25519"][..], 0),
        (&["-t", "ecdsa", "-b", "256"], 0),
        (&["-t", "ecdsa", "-b", "384"], 0),
        (&["-t", "rsa", "-b", "2048"], RSA_512),
        (&["-t", "rsa", "-b", "3072"], RSA_256),
    ] {
        let keyring = read(&key(dir.path(), args, "")).unwrap();
        let (public, comment) = identity(&keyring);
        assert_eq!(comment, "its comment");
        assert!(verified(dir.path(), &keyring, &public, flags), "{args:?}");
        assert_eq!(sign(&keyring, b"another key", b"data", flags), None);
        assert!(!format!("{keyring:?}").contains("comment"));
    }
}

const RSA_256: u32 = 2;
const RSA_512: u32 = 4;

#[test]
fn what_is_not_asked_properly_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let keyring = read(&key(dir.path(), &["-t", "rsa", "-b", "2048"], "")).unwrap();
    let (public, _) = identity(&keyring);
    assert_eq!(sign(&keyring, &public, b"data", 0), None, "SHA-1");
    let refusal = [0, 0, 0, 1, FAILURE];
    for request in
        [&b""[..], &[0, 0, 0, 1, 17], &[0, 0, 0, 1, SIGN_REQUEST], &[0, 0, 0, 6, 13, 0, 0, 9, 9, 9]]
    {
        assert_eq!(keyring.answer(request), refusal, "{request:?}");
    }
}

#[test]
fn files_that_are_no_usable_keys_say_why_and_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let told = |path: &Path| {
        let error = read(path).unwrap_err();
        (error.to_string(), error.hint())
    };
    let (message, hint) = told(&key(dir.path(), &["-t", "ed25519"], "secret"));
    assert!(message.ends_with("is encrypted") && hint.contains("ssh-add"), "{message} {hint}");
    let (message, hint) = told(&key(dir.path(), &["-t", "rsa", "-b", "2048", "-m", "PEM"], ""));
    assert!(message.contains("old format") && hint.contains("ssh-keygen -p"), "{message} {hint}");
    let (message, hint) = told(&key(dir.path(), &["-t", "ecdsa", "-b", "521"], ""));
    assert!(message.contains("nistp521") && hint.contains("ssh-add"), "{message} {hint}");
    let path = dir.path().join("text");
    fs::write(&path, "hello").unwrap();
    assert!(told(&path).0.contains("not a private key"));
}

#[test]
fn a_program_of_openssh_s_reaches_the_keys_and_signs_with_them() {
    use crate::step::mounts::credentials::Credentials;
    let dir = tempfile::tempdir().unwrap();
    let store = kiln_cache::Store::open(&dir.path().join("store")).unwrap();
    let path = key(dir.path(), &["-t", "ed25519"], "");
    let keyrings = [("default".to_owned(), std::sync::Arc::new(read(&path).unwrap()))];
    let given = Credentials { keyrings: keyrings.into(), ..Credentials::default() };
    assert!(given.reachable("other", &store).unwrap().is_none());
    let agent = given.reachable("default", &store).unwrap().unwrap();
    let public = path.with_extension("pub");
    for args in [&["-l"][..], &["-T", public.to_str().unwrap()]] {
        let asked = Command::new("ssh-add").args(args).env("SSH_AUTH_SOCK", agent.socket()).output().unwrap();
        assert!(asked.status.success(), "{args:?}: {}", String::from_utf8_lossy(&asked.stderr));
    }
    let removed = Command::new("ssh-add").arg("-D").env("SSH_AUTH_SOCK", agent.socket()).output().unwrap();
    assert!(!removed.status.success(), "nobody takes keys away");
}
