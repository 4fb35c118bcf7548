//! What a lowering hands over: the graph, which vertex is wanted, and the image configuration.
//!
//! Also the port through which the lowering learns about base images. It is declared here because the
//! lowering needs it, and implemented in the builder because it takes a registry and a store.

use crate::graph::{Graph, VertexId};
use crate::image::ImageConfig;
use crate::op::LayoutImage;

/// A build that is ready to be solved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The operations, only those that the target needs.
    pub graph: Graph,
    /// The vertex whose result is the image's file system.
    pub target: VertexId,
    /// The image configuration without `created` and `rootfs`. Its history has one entry that is not
    /// `empty_layer` for each layer of the target's result, base layers first; entries made by this build
    /// have no `created` yet, unless the build was given a time for all of them.
    pub config: ImageConfig,
    /// `os/arch[/variant]` of the image.
    pub platform: String,
}

/// A base image that a FROM names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BaseRequest {
    /// The reference as written, variables expanded; of an image in a layout, how it is shown.
    pub reference: String,
    /// `os/arch[/variant]`.
    pub platform: String,
    /// Which image of which OCI layout it is; `None` for one of the store or of a registry.
    pub layout: Option<LayoutImage>,
}

/// What is known about a base image once its name is resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedBase {
    /// Digest of its manifest (`sha256:…`), the one for the platform.
    pub digest: String,
    /// Its configuration.
    pub config: ImageConfig,
}

/// Why a base image could not be resolved: one line for a person, and a hint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolveFailure {
    /// What went wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

/// Resolves base images.
///
/// Called with every base that the target needs, images named by `COPY --from` among them, so that an
/// implementation may ask for all of them at the same time; called again only when the ONBUILD triggers
/// of a base bring further ones. Answers in the order asked, one each.
pub trait ResolveBase {
    /// Resolves each request.
    fn resolve(&self, requests: &[BaseRequest]) -> Vec<Result<ResolvedBase, ResolveFailure>>;
}
