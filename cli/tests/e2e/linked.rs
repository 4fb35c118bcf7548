//! Linked copies on another base image: nothing of the old base or the new one is fetched, unpacked or read.
//!
//! The registry has lost the layers of its base images while these build, so that whoever asked for one would fail.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use crate::support::environment::TestEnvironment;
use crate::support::progress::Steps;
use crate::support::registry::Registry;

/// Four linked layers in a row: files, a directory, numbers as owner, a text of the Dockerfile.
const LINKED: &str = "ARG REGISTRY\nARG BASE\nFROM ${REGISTRY}/${BASE}\nCOPY --link a /bin/a\n\
    COPY --link --chown=7:8 dir /etc/dir/\nADD --link a dir/b /usr/share/both/\n\
    COPY --link <<EOF /deep/er/text\nwritten\nEOF\n";

/// A world whose registry can lose and find the layers of its base images.
struct World {
    env: TestEnvironment,
    /// The registry's files of the layers, by digest.
    layers: Vec<(String, PathBuf)>,
}

impl World {
    fn new(bases: &[&str]) -> World {
        let env = TestEnvironment::with_registry(Arc::new(Registry::with_bases()));
        let digests = bases.iter().flat_map(|base| {
            let manifest = env.registry.manifest(base);
            let layers = manifest["layers"].as_array().unwrap().clone();
            layers.into_iter().map(|layer| layer["digest"].as_str().unwrap().to_owned())
        });
        let digests: std::collections::BTreeSet<String> = digests.collect();
        let layers = digests.into_iter().map(|digest| (digest.clone(), env.registry.blob_path(&digest)));
        let layers = layers.collect();
        World { env, layers }
    }

    fn lose_layers(&self) {
        for (_, path) in &self.layers {
            fs::rename(path, path.with_extension("lost")).unwrap();
        }
    }

    fn find_layers(&self) {
        for (_, path) in &self.layers {
            fs::rename(path.with_extension("lost"), path).unwrap();
        }
    }

    /// Builds with that base image and says what was executed.
    fn executed(&self, context: &std::path::Path, base: &str) -> Vec<String> {
        let outcome = self.env.build(context, base, &["--build-arg", &format!("BASE={base}")]);
        assert!(outcome.status.success(), "{outcome}");
        let steps = Steps::read(&format!("{}{}", outcome.stdout, outcome.stderr));
        steps.executed().into_iter().map(str::to_owned).collect()
    }

    /// The layers that the store has in any form, and that it has a blob of the bases.
    fn assert_store(&self, layers: usize) {
        let names = |path: &str| -> Vec<String> {
            let entries = fs::read_dir(self.env.root().join(path)).unwrap();
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
        };
        let blobs = names("blobs/sha256");
        for (digest, _) in &self.layers {
            assert!(!blobs.contains(&digest["sha256:".len()..].to_owned()), "{digest} was fetched");
        }
        assert_eq!(names("layers").len(), layers, "layers that somebody asked for");
    }
}

fn context(env: &TestEnvironment, text: &str) -> PathBuf {
    let context = env.dockerfile("linked", text);
    fs::create_dir_all(context.join("dir")).unwrap();
    for file in ["a", "dir/b", "dir/c"] {
        fs::write(context.join(file), format!("{file}\n")).unwrap();
    }
    context
}

#[test]
fn linked_layers_go_onto_another_base_without_any_base_at_hand() {
    let world = World::new(&["busybox", "debian"]);
    let context = context(&world.env, LINKED);
    world.lose_layers();
    assert_eq!(world.executed(&context, "busybox").len(), 4);
    world.assert_store(4);
    assert_eq!(world.executed(&context, "debian"), [""; 0], "the same layers on another base");
    world.assert_store(4);
    world.find_layers();

    let bases = world.env.another_store("bases");
    for base in ["busybox", "debian"] {
        let reference = world.env.reference(base);
        bases.run(["pull", &reference]).ok();
        let (below, built) = (bases.image(&reference), world.env.image(base));
        assert_eq!(built.diff_ids()[..below.diff_ids().len()], below.diff_ids(), "{base} lies below");
        let mut added = built.changes_since(&below);
        added.retain(|path| !below.tree.contains_key(path));
        let files = ["bin/a", "deep", "deep/er", "deep/er/text", "etc/dir", "etc/dir/b", "etc/dir/c"];
        assert!(files.iter().all(|file| added.iter().any(|path| path == file)), "{base}: {added:?}");
        assert!(built.tree["etc/dir/b"].starts_with("file 0644 7:8"), "{}", built.tree["etc/dir/b"]);
    }
}

#[test]
fn what_stages_made_is_linked_onto_another_base_without_that() {
    let world = World::new(&["debian"]);
    let text = "ARG REGISTRY\nARG BASE\nFROM ${REGISTRY}/busybox AS one\nRUN echo 1 > /one\n\
        FROM ${REGISTRY}/busybox AS two\nRUN mkdir /two && echo 2 > /two/file\n\
        FROM ${REGISTRY}/${BASE}\nCOPY --link --from=one /one /made/\nCOPY --link --from=two /two /made/two\n\
        COPY --link a /made/a\n";
    let context = context(&world.env, text);
    assert_eq!(world.executed(&context, "busybox").len(), 5);
    let layers = fs::read_dir(world.env.root().join("layers")).unwrap().count();
    world.lose_layers();
    assert_eq!(world.executed(&context, "debian"), [""; 0]);
    world.assert_store(layers);

    // One of them changes: the others stay, and the base is still not asked for.
    fs::write(context.join("a"), "other\n").unwrap();
    let executed = world.executed(&context, "debian");
    assert!(executed.len() == 1 && executed[0].contains("COPY --link a"), "{executed:?}");
    world.assert_store(layers + 1);
    world.find_layers();
    assert!(world.env.image("debian").tree["made/two/file"].contains("\"2\\n\""));
}
