//! The images of a Dockerfile, held against the policies of its build: an image is judged by its name before anybody is asked about
//! it, and once more with its digest when that is known. What is put in its place is resolved, and is what the plan names.
//!
//! A lowering asks from a thread that may block; it is answered here, where a client's session can be spoken with.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, mpsc as blocking};

use futures_util::future::join_all;
use kiln_graph::lower::NamedContext;
use kiln_graph::op::Source;
use kiln_graph::plan::{BaseRequest, ResolveBase, ResolveFailure, ResolvedBase};
use kiln_registry::Reference;
use tokio::sync::mpsc;
use tonic::Status;

use super::dockerfile::Work;
use super::options;
use crate::llb;
use crate::policy::{self, IMAGE, full_name};

/// What can be asked about images.
pub(super) type Resolver = Arc<dyn ResolveBase + Send + Sync>;

/// The images that are used in the place of others.
pub(super) type Converted = BTreeMap<BaseRequest, BaseRequest>;

/// What the policies said.
#[derive(Default)]
pub(super) struct Verdicts {
    /// What is used in the place of what.
    pub(super) converted: Converted,
    /// The first refusal.
    pub(super) refused: Option<Status>,
}

/// How often one image may be replaced once its digest is known.
const ROUNDS: usize = 10;

type Answer = Result<ResolvedBase, ResolveFailure>;

/// Some images, and who waits for the answers.
type Question = (Vec<BaseRequest>, blocking::Sender<Vec<Answer>>);

/// The bases of a lowering whose questions are answered elsewhere.
struct Asking(mpsc::UnboundedSender<Question>);

impl ResolveBase for Asking {
    fn resolve(&self, requests: &[BaseRequest]) -> Vec<Answer> {
        let (answer, answers) = blocking::channel();
        let sent = self.0.send((requests.to_vec(), answer));
        let answers = sent.ok().and_then(|()| answers.recv().ok());
        answers.unwrap_or_else(|| vec![Err(failure("the question was not answered")); requests.len()])
    }
}

fn failure(message: &str) -> ResolveFailure {
    ResolveFailure { message: message.to_owned(), help: None }
}

impl Work<'_> {
    /// Does what asks for images, on a thread of its own, and says what the policies said of them.
    pub(super) async fn with_bases<T: Send + 'static>(
        &self,
        resolver: Resolver,
        work: impl FnOnce(&dyn ResolveBase) -> T + Send + 'static,
    ) -> Result<(T, Verdicts), Status> {
        let (ask, mut asked) = mpsc::unbounded_channel();
        let mut working = tokio::task::spawn_blocking(move || work(&Asking(ask)));
        let verdicts = Mutex::new(Verdicts::default());
        loop {
            tokio::select! {
                done = &mut working => {
                    let done = done.map_err(|_| Status::internal("the lowering ended without a result"))?;
                    return Ok((done, verdicts.into_inner().unwrap_or_else(PoisonError::into_inner)));
                }
                Some((requests, answer)) = asked.recv() => {
                    let answers = requests.into_iter().map(|request| self.base(&resolver, request, &verdicts));
                    // Who has stopped waiting has ended, too.
                    drop(answer.send(join_all(answers).await));
                }
            }
        }
    }

    async fn base(&self, resolver: &Resolver, request: BaseRequest, verdicts: &Mutex<Verdicts>) -> Answer {
        // Layouts have no name yet, and what the build made itself was asked about when it was made.
        if self.policies.is_empty() || request.layout.is_some() || self.build.knows(&request.reference) {
            return resolved(resolver, request).await;
        }
        let judged = self.judged(resolver, &request).await;
        let mut verdicts = verdicts.lock().unwrap_or_else(PoisonError::into_inner);
        match judged {
            Ok((used, base)) => {
                if used != request {
                    verdicts.converted.insert(request, used);
                }
                base
            }
            Err(refusal) => {
                let answer = Err(failure(refusal.message()));
                verdicts.refused.get_or_insert(refusal);
                answer
            }
        }
    }

    /// The image that the policies put in the place of another one, or that one, and what is known of it.
    async fn judged(
        &self,
        resolver: &Resolver,
        request: &BaseRequest,
    ) -> Result<(BaseRequest, Answer), Status> {
        let BaseRequest { reference, platform, .. } = request;
        let mut used = request.clone();
        if let Some(other) = self.instead(reference, platform, false).await? {
            used.reference = other;
        }
        // Clients pin the images that a Dockerfile names, and leave those that they are given as contexts as they are.
        if self.is_context(reference) {
            return Ok((used.clone(), resolved(resolver, used).await));
        }
        for _ in 0..ROUNDS {
            let answer = resolved(resolver, used.clone()).await;
            let Ok(base) = &answer else { return Ok((used, answer)) };
            let pinned = pinned(&used.reference, &base.digest);
            match self.instead(&pinned, platform, true).await? {
                None => return Ok((used, answer)),
                // The name of what was resolved, without its digest.
                Some(other) if is_same(&other, &used.reference) => return Ok((used, answer)),
                Some(other) => used.reference = other,
            }
        }
        let detail = "the policy puts another image in its place again and again";
        Err(Status::unknown(format!("{reference}: {detail}")))
    }

    /// Whether an image is a context that was given by name.
    fn is_context(&self, reference: &str) -> bool {
        self.named.all.values().any(|context| match context {
            NamedContext::Image { reference: named } => named == reference,
            _ => false,
        })
    }

    /// The reference that is to be used in the place of this one, if it is another.
    async fn instead(
        &self,
        reference: &str,
        platform: &str,
        is_resolved: bool,
    ) -> Result<Option<String>, Status> {
        let mut source = policy::image(reference);
        if is_resolved {
            source.attrs.extend(options::resolve_mode(self.attributes));
        }
        let message = Some(crate::control::platform(platform));
        let other = self.policies.judge(self.server, self.build, message, &source).await?;
        let Some(other) = other else { return Ok(None) };
        let refused = || policy::replaced(&source, &other);
        if !other.identifier.starts_with(IMAGE) {
            return Err(refused());
        }
        // Whether registries are asked is said for all images of a build at once.
        let pulls = options::asks_registries(self.attributes);
        match llb::source_of(&other, platform)? {
            (Source::Image { reference, .. }, asks) if pulls || !asks => Ok(Some(reference)),
            _ => Err(refused()),
        }
    }
}

async fn resolved(resolver: &Resolver, request: BaseRequest) -> Answer {
    let resolver = Arc::clone(resolver);
    let answers = tokio::task::spawn_blocking(move || resolver.resolve(&[request])).await;
    let answer = answers.ok().and_then(|answers| answers.into_iter().next());
    answer.unwrap_or_else(|| Err(failure("the resolution ended without a result")))
}

/// Whether two references name the same.
fn is_same(one: &str, other: &str) -> bool {
    policy::image(one) == policy::image(other)
}

/// The full name of an image with its digest.
fn pinned(reference: &str, digest: &str) -> String {
    match Reference::parse(reference) {
        Ok(full) if full.digest().is_none() => format!("{}@{digest}", full_name(&full)),
        _ => reference.to_owned(),
    }
}
