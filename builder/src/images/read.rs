//! What is in an image, without a mount; and the same files under another configuration.

use kiln_cache::{ImageRecord, UseLock, View};
use kiln_graph::image::{History, ImageConfig};
use kiln_graph::plan::Plan;
use kiln_graph::{Graph, VertexId};

use super::{ImageError, Images};
use crate::error::BuildError;
use crate::event::Progress;
use crate::fetch::Fetcher;

/// The merged tree of an image, which the store keeps for as long as this is there.
#[derive(Debug)]
pub struct ImageFiles {
    /// The tree. Paths are resolved beneath its root.
    pub view: View,
    _in_use: UseLock,
}

impl Images {
    /// The files of an image, its layers fetched and unpacked.
    pub async fn files(&self, record: &ImageRecord, progress: &Progress) -> Result<ImageFiles, ImageError> {
        let in_use = self.store.use_lock()?;
        let trees = self.fetcher.trees(&Fetcher::snapshot(record)?, progress).await?;
        let view = View::new(&trees).map_err(kiln_cache::StoreError::from)?;
        Ok(ImageFiles { view, _in_use: in_use })
    }

    /// The image of the same layers with another configuration. Its history is made to tell of as many layers as there are.
    pub fn configured(
        &self,
        record: &ImageRecord,
        mut config: ImageConfig,
    ) -> Result<ImageRecord, BuildError> {
        let _in_use = self.store.use_lock()?;
        fit(&mut config.history, record.layers.len());
        config.rootfs = kiln_graph::image::RootFs::default();
        let platform = record.platform.clone();
        let plan = Plan { graph: Graph::new(), target: VertexId(0), config, platform };
        let snapshot = Fetcher::snapshot(record);
        let snapshot = snapshot.map_err(|error| BuildError::Plan { detail: crate::text::chain(&error) })?;
        crate::assemble::assemble(&self.store, &plan, &snapshot)
    }
}

/// Makes a history that somebody else wrote tell of that many layers. None at all stays none.
fn fit(history: &mut Vec<History>, layers: usize) {
    if history.is_empty() {
        return;
    }
    let mut told = 0;
    for entry in history.iter_mut().filter(|entry| !entry.empty_layer) {
        told += 1;
        entry.empty_layer = told > layers;
    }
    history.resize_with(history.len() + layers.saturating_sub(told), History::default);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_tells_of_every_layer() {
        let entry = |empty_layer| History { empty_layer, ..History::default() };
        let told = |history: &[History]| history.iter().filter(|entry| !entry.empty_layer).count();
        for (entries, layers) in [(vec![false, true], 3), (vec![false, false, true], 1), (vec![true], 0)] {
            let mut history: Vec<History> = entries.into_iter().map(entry).collect();
            fit(&mut history, layers);
            assert_eq!(told(&history), layers);
        }
        let mut none = Vec::new();
        fit(&mut none, 2);
        assert!(none.is_empty());
    }
}
