//! Base images: the lowering's questions answered from the store or a registry.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use kiln_cache::ImageRecord;
use kiln_graph::op::LayoutImage;
use kiln_graph::plan::{BaseRequest, ResolveBase, ResolveFailure, ResolvedBase};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::event::Progress;
use crate::fetch::{FetchError, Fetcher};
use crate::provenance::Material;
use crate::text;

/// When a registry is asked about an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PullPolicy {
    /// Only when the store does not have it.
    #[default]
    Missing,
    /// Always: what the name stands for now counts.
    Always,
}

/// The base images of a build, once they are resolved. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Bases {
    records: Arc<Mutex<HashMap<BaseRequest, ImageRecord>>>,
    /// What else came from elsewhere while the plan was solved: files and commits.
    fetched: Arc<Mutex<BTreeSet<Material>>>,
}

impl Bases {
    /// The image that a name stood for when it was resolved.
    pub(crate) fn get(&self, reference: &str, platform: &str) -> Option<ImageRecord> {
        let (reference, platform) = (reference.to_owned(), platform.to_owned());
        self.answer(&BaseRequest { reference, platform, layout: None })
    }

    /// The same for an image of a layout.
    pub(crate) fn in_layout(&self, image: &LayoutImage, platform: &str) -> Option<ImageRecord> {
        let (reference, platform) = (image.to_string(), platform.to_owned());
        self.answer(&BaseRequest { reference, platform, layout: Some(image.clone()) })
    }

    /// Lets a reference stand for an image that no registry needs to have.
    pub fn know(&self, reference: &str, record: &ImageRecord) {
        let (reference, platform) = (reference.to_owned(), record.platform.clone());
        self.insert(BaseRequest { reference, platform, layout: None }, record.clone());
    }

    /// Notes an image that was resolved only when it was needed.
    pub(crate) fn found(&self, reference: &str, platform: &str, record: &ImageRecord) {
        let (reference, platform) = (reference.to_owned(), platform.to_owned());
        self.insert(BaseRequest { reference, platform, layout: None }, record.clone());
    }

    /// Notes something that was fetched.
    pub(crate) fn fetched(&self, material: Material) {
        self.fetched.lock().unwrap_or_else(PoisonError::into_inner).insert(material);
    }

    /// What was fetched, in order.
    pub(crate) fn materials(&self) -> Vec<Material> {
        self.fetched.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    fn answer(&self, request: &BaseRequest) -> Option<ImageRecord> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).get(request).cloned()
    }

    fn insert(&self, request: BaseRequest, record: ImageRecord) {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).insert(request, record);
    }
}

/// The lowering's port, implemented on a store and a registry.
///
/// [`ResolveBase::resolve`] blocks: it is to be called where blocking is allowed (a thread of its own or
/// `spawn_blocking`), never on a thread that drives the runtime.
pub struct Resolver {
    pub(crate) fetcher: Fetcher,
    pub(crate) policy: PullPolicy,
    pub(crate) progress: Progress,
    pub(crate) runtime: Handle,
    pub(crate) bases: Bases,
}

impl Resolver {
    /// What has been resolved, for [`crate::BuildRequest`].
    pub fn bases(&self) -> Bases {
        self.bases.clone()
    }

    async fn resolve_all(&self, requests: &[BaseRequest]) -> Vec<Result<ResolvedBase, ResolveFailure>> {
        let mut answers: Vec<Option<Result<ResolvedBase, ResolveFailure>>> = vec![None; requests.len()];
        let mut asked = JoinSet::new();
        for (index, request) in requests.iter().enumerate() {
            let (fetcher, request, progress) = (self.fetcher.clone(), request.clone(), self.progress.clone());
            let always = self.policy == PullPolicy::Always;
            let known = self.bases.answer(&request);
            asked.spawn(async move {
                let record = match (known, &request.layout) {
                    (Some(record), _) => Ok(record),
                    (None, Some(image)) => fetcher.layout(image, &request.platform, &progress).await,
                    (None, None) => {
                        fetcher.image(&request.reference, &request.platform, always, &progress).await
                    }
                };
                (index, record.and_then(|record| fetcher.config(&record).map(|config| (record, config))))
            });
        }
        while let Some(joined) = asked.join_next().await {
            let Ok((index, result)) = joined else { continue };
            answers[index] = Some(match result {
                Ok((record, config)) => {
                    let digest =
                        record.manifest.as_ref().map_or(&record.id, |manifest| manifest.digest()).to_string();
                    self.bases.insert(requests[index].clone(), record);
                    Ok(ResolvedBase { digest, config })
                }
                Err(error) => Err(failure(&error)),
            });
        }
        answers.into_iter().map(|answer| answer.unwrap_or_else(|| Err(failure(&FetchError::Lost)))).collect()
    }
}

impl ResolveBase for Resolver {
    fn resolve(&self, requests: &[BaseRequest]) -> Vec<Result<ResolvedBase, ResolveFailure>> {
        self.runtime.block_on(self.resolve_all(requests))
    }
}

fn failure(error: &FetchError) -> ResolveFailure {
    ResolveFailure { message: text::chain(error), help: error.hint() }
}
