//! Definitions executed by the builder, without a client: what comes out, as the model's tree.

use std::collections::BTreeMap;
use std::path::Path;

use kiln_builder::{
    Bases, BuildRequest, Builder, BuilderOptions, CancellationToken, Credentials, Progress, RequireCached,
    SharedCaches,
};
use kiln_cache::{NodeKind, Store, View};
use kiln_graph::Entitlements;
use kiln_graph::image::ImageConfig;
use kiln_graph::plan::Plan;
use kiln_registry::{Client, ClientOptions};
use tempfile::TempDir;

use super::model::{Node, Tree};
use crate::api::pb;
use crate::llb::{Definition, Layouts, lower};

/// A store and a builder on it.
pub(super) struct World {
    builder: Builder,
    _directory: TempDir,
}

impl World {
    pub(super) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let client = Client::new(ClientOptions::default()).unwrap();
        let options =
            BuilderOptions { jobs: 2, resolv_conf: None, hosts: None, device_directories: Vec::new() };
        let builder = Builder::new(Store::open(directory.path()).unwrap(), client, options);
        Self { builder, _directory: directory }
    }

    /// The files of the result, or why there is none.
    pub(super) async fn build(&self, definition: &pb::Definition) -> Result<Tree, String> {
        let definition = Definition::read(definition).map_err(|error| error.to_string())?;
        let lowered = lower(definition, "linux/amd64", Layouts::new()).map_err(|error| error.to_string())?;
        let (graph, target, platform) = (lowered.graph, lowered.target, lowered.platform);
        let request = BuildRequest {
            plan: Plan { graph, target, config: ImageConfig::default(), platform },
            contexts: BTreeMap::new(),
            bases: Bases::default(),
            credentials: Credentials::default(),
            entitlements: Entitlements::default(),
            project: String::new(),
            require_cached: RequireCached::default(),
            shared: SharedCaches::default(),
            cancel: CancellationToken::new(),
        };
        let progress = Progress::new(tokio::sync::mpsc::unbounded_channel().0);
        let record = self.builder.build(request, &progress).await;
        let record = record.map_err(|error| kiln_builder::text::chain(&error))?;
        let files = self.builder.images().files(&record, &progress).await.unwrap();
        let mut tree = Tree::new();
        read(&files.view, Path::new("/"), &mut tree);
        Ok(tree)
    }
}

fn read(view: &View, directory: &Path, tree: &mut Tree) {
    for (name, node) in view.read_dir(directory).unwrap() {
        let path = directory.join(name);
        let found = match node.kind {
            NodeKind::Directory => Node::Directory { mode: node.mode },
            NodeKind::File => Node::File { mode: node.mode, data: view.read(&path, 1 << 20).unwrap() },
            NodeKind::Symlink => {
                Node::Link { target: node.link_target.unwrap().to_str().unwrap().to_owned() }
            }
            other => unreachable!("{other:?}"),
        };
        let is_directory = matches!(found, Node::Directory { .. });
        tree.insert(path.to_str().unwrap().to_owned(), found);
        if is_directory {
            read(view, &path, tree);
        }
    }
}
