//! What the tests share: clients that do not wait, and shorthands.

use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use kiln_registry::testing::TestRegistry;
use kiln_registry::{Client, ClientOptions, Descriptor, Reference, RegistryError, RetryPolicy};

/// Options of a client that tries three times without waiting.
pub fn options() -> ClientOptions {
    let instantly = Duration::from_micros(1);
    ClientOptions {
        retry: RetryPolicy { tries: 3, base: instantly, cap: instantly },
        ..ClientOptions::default()
    }
}

pub fn client() -> Client {
    Client::new(options()).unwrap()
}

/// A client with the logins of a docker configuration.
pub fn client_with_config(json: &str) -> (Client, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.json");
    std::fs::write(&path, json).unwrap();
    (Client::new(ClientOptions { docker_config: Some(path), ..options() }).unwrap(), dir)
}

pub fn reference(registry: &TestRegistry, rest: &str) -> Reference {
    Reference::parse(&format!("{}/{rest}", registry.host())).unwrap()
}

/// Reads a whole blob.
pub async fn read(
    client: &Client,
    reference: &Reference,
    descriptor: &Descriptor,
) -> Result<Vec<u8>, RegistryError> {
    let mut reader = client.blob(reference, descriptor);
    let mut bytes = Vec::new();
    while let Some(chunk) = reader.chunk().await? {
        bytes.extend_from_slice(&chunk);
    }
    assert_eq!(reader.chunk().await?, None, "nothing comes after the end");
    Ok(bytes)
}

/// Bytes that do not repeat.
pub fn noise(length: usize) -> Bytes {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let bytes = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    });
    bytes.take(length).collect()
}

/// An error and all its causes, as one text.
pub fn text(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Runs a program that the tests need and gives its output; fails with what it said.
pub fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).env("HOME", "/nonexistent").output();
    let output = output.unwrap_or_else(|error| panic!("these tests need `{program}`: {error}"));
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}
