//! A registry that wants a password: taken from docker's configuration file, and asked for in words if it is missing.

use std::fs;
use std::sync::Arc;

use crate::support::environment::TestEnvironment;
use crate::support::registry::{PASSWORD, Registry, USER, base_images};
use crate::support::tool::{run, tool};

/// An environment whose registry wants a password; the bases are in it.
pub(super) fn guarded() -> TestEnvironment {
    let registry = Arc::new(Registry::with_password());
    let mut skopeo = tool("skopeo");
    skopeo.args([
        "copy",
        "--quiet",
        "--dest-tls-verify=false",
        "--dest-creds",
        &format!("{USER}:{PASSWORD}"),
    ]);
    skopeo.arg(format!("oci:{}:latest", base_images().join("busybox").display()));
    run(skopeo.arg(format!("docker://{}:latest", registry.reference("busybox")))).ok();
    TestEnvironment::with_registry(registry)
}

/// What `docker login` writes.
fn log_in(env: &TestEnvironment, user: &str, password: &str) {
    let script = format!("printf %s '{user}:{password}' | base64");
    let encoded = run(tool("sh").args(["-c", &script])).ok();
    let text = format!(r#"{{"auths": {{"{}": {{"auth": "{}"}}}}}}"#, env.registry.host(), encoded.trim());
    fs::write(env.path("docker/config.json"), text).unwrap();
}

#[test]
fn with_the_right_password_images_come_and_go() {
    let env = guarded();
    log_in(&env, USER, PASSWORD);
    let context = env.dockerfile("context", "ARG REGISTRY\nFROM ${REGISTRY}/busybox\nRUN echo in > /in\n");
    let name = env.reference("guarded:1");
    env.build(&context, &name, &["--push"]).ok();
    env.run(["rmi", &name]).ok();
    assert_eq!(env.run(["run", "--rm", &name, "cat", "/in"]).ok(), "in\n");
}

#[test]
fn without_a_password_the_error_says_what_to_do() {
    let env = guarded();
    let name = env.reference("busybox");
    let said = env.run(["pull", &name]).fails();
    assert!(said.contains(&name) && said.contains("login"), "{said}");
    assert_eq!(env.id(&name), None);
}

#[test]
fn a_wrong_password_is_refused_and_not_shown() {
    let env = guarded();
    log_in(&env, USER, "wrong-password");
    let name = env.reference("busybox");
    let said = env.run(["pull", &name]).fails();
    assert!(said.contains(&name), "{said}");
    assert!(!said.contains("wrong-password"), "{said}");
}
