//! Layers whose bytes changed on the disk, at an unchanged length: fetched again, made again, or told; never handed on.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::environment::TestEnvironment;
use crate::support::image::Image;
use crate::support::progress::Steps;

/// Changes a bit in the middle of a file.
fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// Damages every blob that holds a layer; documents are JSON.
fn flip_layers(env: &TestEnvironment) -> usize {
    let blobs = fs::read_dir(env.root().join("blobs/sha256")).unwrap().map(|entry| entry.unwrap().path());
    let layers: Vec<PathBuf> = blobs.filter(|path| fs::read(path).unwrap()[0] != b'{').collect();
    for path in &layers {
        flip(path);
    }
    layers.len()
}

/// Damages the blobs that are packed: the uncompressed tar of the last layer stays whole, and so do trees.
fn flip_packed(env: &TestEnvironment) {
    let blobs = fs::read_dir(env.root().join("blobs/sha256")).unwrap().map(|entry| entry.unwrap().path());
    let packed: Vec<PathBuf> =
        blobs.filter(|path| fs::read(path).unwrap().starts_with(&[0x1f, 0x8b])).collect();
    assert!(packed.len() >= 3, "the base's and two steps': {packed:?}");
    for path in &packed {
        flip(path);
    }
}

/// A base, a layer that is a tree and one that is a tar only.
fn app(env: &TestEnvironment) -> PathBuf {
    let text = "ARG REGISTRY\nFROM ${REGISTRY}/busybox\nRUN seq 1000 > /made\nCOPY file /copied\n";
    let context = env.dockerfile("app", text);
    fs::write(context.join("file"), "copied\n".repeat(100)).unwrap();
    context
}

fn executed(env: &TestEnvironment) -> Vec<String> {
    let outcome = env.build(&app(env), "app", &[]);
    assert!(outcome.status.success(), "{outcome}");
    let steps = Steps::read(&format!("{}{}", outcome.stdout, outcome.stderr));
    steps.executed().into_iter().map(str::to_owned).collect()
}

#[test]
fn a_damaged_base_is_fetched_again_by_whoever_unpacks_it() {
    let env = TestEnvironment::new();
    let base = env.reference("busybox");
    env.run(["pull", &base]).ok();
    assert!(flip_layers(&env) > 0);
    assert_eq!(executed(&env).len(), 2);
    assert!(env.image("app").tree["made"].contains("bytes"));

    let other = env.another_store("other");
    other.run(["pull", &base]).ok();
    flip_layers(&other);
    assert_eq!(other.run(["run", "--rm", &base, "echo", "well"]).ok(), "well\n");
    assert_eq!(other.image(&base).tree, env.image(&base).tree);
}

#[test]
fn damaged_blobs_are_made_or_fetched_again_before_they_are_pushed() {
    let env = TestEnvironment::new();
    let archive = env.path("app.oci");
    let output = format!("type=oci,dest={}", archive.display());
    env.build(&app(&env), "app", &["-o", &output]).ok();
    let right = Image::read(&format!("oci-archive:{}", archive.display()));
    // The base's layer is unpacked and its blob was handed on; the step's is a tree and was compressed.
    let compressed = env.build(&app(&env), "app", &[]);
    assert!(compressed.status.success(), "{compressed}");
    let copied_tar =
        env.root().join("blobs/sha256").join(&right.diff_ids().last().unwrap()["sha256:".len()..]);
    let whole = fs::read(&copied_tar).unwrap();
    assert!(flip_layers(&env) >= 3);
    fs::write(&copied_tar, whole).unwrap();

    let name = env.reference("damaged/pushed");
    env.run(["tag", "app", &name]).ok();
    env.run(["push", &name]).ok();
    assert_eq!(Image::read(&format!("docker://{name}")).tree, right.tree);
    let again = env.path("again.oci");
    let output = format!("type=oci,dest={}", again.display());
    env.build(&app(&env), "app", &["-o", &output]).ok();
    assert_eq!(Image::read(&format!("oci-archive:{}", again.display())).tree, right.tree);
}

#[test]
fn an_archive_with_a_damaged_blob_is_not_left_and_the_next_is_whole() {
    let env = TestEnvironment::new();
    let archive = env.path("app.oci");
    let output = format!("type=oci,dest={}", archive.display());
    env.build(&app(&env), "app", &["-o", &output]).ok();
    let right = Image::read(&format!("oci-archive:{}", archive.display())).tree;
    fs::remove_file(&archive).unwrap();
    flip_packed(&env);
    let text = env.build(&app(&env), "app", &["-o", &output]).fails();
    assert!(text.contains("was damaged in the store") && text.contains("once more"), "{text}");
    assert!(!archive.exists());
    env.build(&app(&env), "app", &["-o", &output]).ok();
    assert_eq!(Image::read(&format!("oci-archive:{}", archive.display())).tree, right);
}

#[test]
fn a_layer_that_is_lost_is_told_and_made_again() {
    let env = TestEnvironment::new();
    assert_eq!(executed(&env).len(), 2);
    let right = env.image("app").tree;
    let archive = env.path("app.tar");
    flip_layers(&env);
    let save = || env.run(["save", "-o", archive.to_str().unwrap(), "app"]);
    let text = save().fails();
    assert!(
        text.contains("was damaged in the store") && text.contains("build or pull its image again"),
        "{text}"
    );
    assert!(!archive.exists(), "nothing half written has the name");
    let again = executed(&env);
    assert!(again.len() == 1 && again[0].contains("COPY file"), "{again:?}");
    save().ok();
    assert_eq!(env.image("app").tree, right);
}

#[test]
fn files_that_were_changed_in_a_tree_do_not_leave_the_store() {
    let env = TestEnvironment::new();
    assert_eq!(executed(&env).len(), 2);
    let right = env.image("app").tree;
    let trees = fs::read_dir(env.root().join("layers")).unwrap();
    let made = trees.map(|layer| layer.unwrap().path().join("tree/made")).find(|path| path.exists()).unwrap();
    flip(&made);
    let name = env.reference("damaged/tree");
    env.run(["tag", "app", &name]).ok();
    let text = env.run(["push", &name]).fails();
    assert!(
        text.contains("was damaged in the store") && text.contains("build or pull its image again"),
        "{text}"
    );
    let again = executed(&env);
    assert!(again.iter().any(|step| step.contains("seq 1000")), "{again:?}");
    env.run(["tag", "app", &name]).ok();
    env.run(["push", &name]).ok();
    assert_eq!(Image::read(&format!("docker://{name}")).tree, right);
    assert_eq!(env.image("app").tree, right);
}

#[test]
fn a_shared_cache_gets_whole_layers_or_none() {
    let env = TestEnvironment::new();
    let archive = format!("type=oci,dest={}", env.path("app.oci").display());
    env.build(&app(&env), "app", &["-o", &archive]).ok();
    let right = env.image("app").tree;
    flip_packed(&env);
    let cache = env.path("cache");
    let to = format!("type=local,dest={},mode=max,ignore-error=false", cache.display());
    let outcome = env.build(&app(&env), "app", &["--cache-to", &to]);
    assert!(outcome.status.success(), "{outcome}");

    let other = env.another_store("other");
    let from = format!("type=local,src={}", cache.display());
    let outcome = other.build(&app(&other), "app", &["--cache-from", &from]);
    assert!(outcome.status.success(), "{outcome}");
    assert_eq!(Steps::read(&outcome.stderr).executed(), [""; 0], "{outcome}");
    assert_eq!(other.image("app").tree, right);
}
