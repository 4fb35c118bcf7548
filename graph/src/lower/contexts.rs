//! Named contexts: files and images that the caller gives under the names of stages and images.
//!
//! A name of the Dockerfile (a base, a `--from`, a stage of its own) that a context has means that context. Here names
//! are compared and a context becomes an [`Origin`]; where it is asked for one is `stages`' business. Names are
//! compared as references, so `alpine` and `docker.io/library/alpine:latest` are one; `NAME::PLATFORM` is for one
//! platform, and wins there. Source of the rules: BuildKit's `dockerui` and buildx.

use std::collections::BTreeSet;

use kiln_parser::instruction::{Dockerfile, Instruction};
use kiln_parser::span::Span;
use kiln_parser::{Diagnostic, suggest};
use oci_spec::distribution::Reference;

use super::options::LowerOptions;
use super::platform::Platform;
use super::stages::{Origin, SCRATCH, Stages, named_sources};
use crate::op::{Git, Http, LayoutImage, Source};
use crate::plan::BaseRequest;

/// Where Docker keeps images whose name has no registry, and the official ones among them.
const DEFAULT_REGISTRY: &str = "docker.io";
const OFFICIAL: &str = "library/";

/// The tag of a name without one.
const DEFAULT_TAG: &str = "latest";

/// What stands between a name and the platform that it is for.
const FOR_PLATFORM: &str = "::";

/// The file that something from a web server is, until it is unpacked: BuildKit's name for it.
pub(super) const DOWNLOADED: &str = "context";

/// What a name was given for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamedContext {
    /// A directory; the caller of the builder knows which, under the context's name.
    Directory {
        /// Its own ignore patterns, in order.
        ignore: Vec<String>,
    },
    /// An image of the store or of a registry, by its reference; `scratch` is no files.
    Image {
        /// The reference.
        reference: String,
    },
    /// An image of an OCI layout.
    Layout(LayoutImage),
    /// A commit of a repository.
    Git(Git),
    /// A file of a web server; an archive stands for the files in it.
    Http {
        /// `http://…` or `https://…`.
        url: String,
    },
}

/// A text that cannot name a context.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContextNameError {
    /// No stage and no image can be called so.
    #[error("`{name}` cannot be the name of a stage or an image")]
    Name {
        /// The name.
        name: String,
    },
    /// What follows `::` is no platform.
    #[error("`{platform}` is not a platform: it is written os/arch or os/arch/variant")]
    Platform {
        /// The platform.
        platform: String,
    },
}

/// The name under which [`LowerOptions::contexts`] keeps what was given as `text`: `NAME` or `NAME::PLATFORM`.
pub fn context_name(text: &str) -> Result<String, ContextNameError> {
    let (name, platform) = match text.split_once(FOR_PLATFORM) {
        Some((name, platform)) => (name, Some(platform)),
        None => (text, None),
    };
    let name = normal_name(name).ok_or_else(|| ContextNameError::Name { name: name.to_owned() })?;
    let Some(platform) = platform else { return Ok(name) };
    let parsed = Platform::parse(platform, None);
    let platform = parsed.map_err(|_| ContextNameError::Platform { platform: platform.to_owned() })?;
    Ok(format!("{name}{FOR_PLATFORM}{platform}"))
}

/// Whether Docker never takes a context for that name: it stands for something else.
pub fn is_reserved(name: &str) -> bool {
    let name = without_platform(name);
    name.eq_ignore_ascii_case(SCRATCH) || name.eq_ignore_ascii_case(Source::MAIN_CONTEXT)
}

fn without_platform(name: &str) -> &str {
    name.split_once(FOR_PLATFORM).map_or(name, |(name, _)| name)
}

/// A name as references are compared: without what Docker fills in. `None` if it is none.
fn normal_name(name: &str) -> Option<String> {
    let reference: Reference = name.parse().ok()?;
    let mut normal = match (reference.registry(), reference.repository()) {
        (DEFAULT_REGISTRY, repository) => repository.strip_prefix(OFFICIAL).unwrap_or(repository).to_owned(),
        (registry, repository) => format!("{registry}/{repository}"),
    };
    match (reference.tag(), reference.digest()) {
        (Some(DEFAULT_TAG) | None, None) => {}
        (tag, digest) => {
            normal.extend(tag.into_iter().flat_map(|tag| [":", tag]));
            normal.extend(digest.into_iter().flat_map(|digest| ["@", digest]));
        }
    }
    Some(normal)
}

/// What a context of the options that `name` means on `platform` is, if there is one.
pub(super) fn find(options: &LowerOptions, name: &str, platform: &Platform) -> Option<Origin> {
    if options.contexts.is_empty() || is_reserved(name) {
        return None;
    }
    let name = normal_name(name)?;
    let for_platform = format!("{name}{FOR_PLATFORM}{platform}");
    let given =
        options.contexts.get_key_value(&for_platform).or_else(|| options.contexts.get_key_value(&name));
    given.map(|(name, context)| origin(name, context, platform))
}

fn origin(name: &str, context: &NamedContext, platform: &Platform) -> Origin {
    let image = |reference: &str, layout: Option<LayoutImage>| {
        let platform = platform.to_string();
        Origin::Image(BaseRequest { reference: reference.to_owned(), platform, layout })
    };
    let files = |source: Source| Origin::Files { name: without_platform(name).to_owned(), source };
    match context {
        NamedContext::Directory { ignore } => {
            files(Source::Context { name: name.to_owned(), ignore: ignore.clone() })
        }
        NamedContext::Image { reference } if reference == SCRATCH => Origin::Scratch,
        NamedContext::Image { reference } => image(reference, None),
        NamedContext::Layout(layout) => image(&layout.to_string(), Some(layout.clone())),
        NamedContext::Git(git) => files(Source::Git(git.clone())),
        NamedContext::Http { url } => {
            let filename = DOWNLOADED.to_owned();
            files(Source::Http(Http { url: url.clone(), filename, checksum: None }))
        }
    }
}

/// The name of the context that asks for this image, if one does.
pub(super) fn name_of<'o>(options: &'o LowerOptions, request: &BaseRequest) -> Option<&'o str> {
    let asks = |context: &NamedContext| match context {
        NamedContext::Image { reference } => request.layout.is_none() && *reference == request.reference,
        NamedContext::Layout(layout) => request.layout.as_ref() == Some(layout),
        _ => false,
    };
    options.contexts.iter().find(|(_, context)| asks(context)).map(|(name, _)| name.as_str())
}

/// One warning about all contexts whose name the file does not have.
pub(super) fn unused(
    dockerfile: &Dockerfile,
    stages: &Stages<'_>,
    options: &LowerOptions,
) -> Option<Diagnostic> {
    if options.contexts.is_empty() {
        return None;
    }
    let names = names(dockerfile, stages);
    let is_used = |context: &str| !is_reserved(context) && names.contains(without_platform(context));
    let unused: Vec<&str> =
        options.contexts.keys().map(String::as_str).filter(|context| !is_used(context)).collect();
    if unused.is_empty() {
        return None;
    }
    let candidates = || names.iter().map(String::as_str).filter(|name| !is_reserved(name));
    let meant = unused
        .iter()
        .filter(|name| !is_reserved(name))
        .find_map(|name| suggest::nearest(without_platform(name), candidates()));
    let meant = meant.map(|meant| format!(" (did you mean {meant}?)")).unwrap_or_default();
    let message =
        format!("no stage, FROM or --from is called like the build context {}{meant}", unused.join(", "));
    let warning = Diagnostic::warning("unused-build-context", message, Span::default());
    let reserved = unused.into_iter().find(|name| is_reserved(name));
    Some(match reserved {
        Some(name) => warning.with_help(format!("no context replaces `{name}`")),
        None => warning,
    })
}

/// All names of the file that a context can have.
fn names(dockerfile: &Dockerfile, stages: &Stages<'_>) -> BTreeSet<String> {
    let written = dockerfile.stages.iter().flat_map(|stage| &stage.instructions);
    let sources = |instruction: &Instruction| -> Vec<String> {
        named_sources(instruction).into_iter().map(|word| word.value.clone()).collect()
    };
    let named = written.chain(stages.triggers()).flat_map(sources);
    let stage_names = stages.names().map(str::to_lowercase);
    let bases = (0..stages.len()).filter_map(|index| stages.get(index).base.clone());
    named.chain(stage_names).chain(bases).filter_map(|name| normal_name(&name)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_are_compared_as_references() {
        let digest = format!("sha256:{}", "0".repeat(64));
        for (written, expected) in [
            ("alpine", "alpine"),
            ("alpine:latest", "alpine"),
            ("docker.io/library/alpine", "alpine"),
            ("docker.io/library/alpine:3.20", "alpine:3.20"),
            ("library/alpine", "alpine"),
            ("me/app", "me/app"),
            ("localhost:5000/app:latest", "localhost:5000/app"),
            ("ghcr.io/a/b:1", "ghcr.io/a/b:1"),
            (&format!("a@{digest}"), &format!("a@{digest}")),
            (&format!("a:1@{digest}"), &format!("a:1@{digest}")),
            ("alpine::linux/amd64", "alpine::linux/amd64"),
            ("alpine:latest::linux/aarch64", "alpine::linux/arm64"),
        ] {
            assert_eq!(context_name(written).unwrap(), expected, "{written}");
        }
        for wrong in ["", "A", "a b", "::linux/amd64", "a::linux", "a::", "-a", "a::b::c"] {
            assert!(context_name(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn reserved_names_mean_what_they_always_mean() {
        for name in ["scratch", "context", "scratch::linux/amd64"] {
            assert!(is_reserved(name), "{name}");
        }
        assert!(!is_reserved("scratch2"));
    }

    #[test]
    fn a_context_for_the_platform_wins() {
        let image = |reference: &str| NamedContext::Image { reference: reference.to_owned() };
        let contexts = [("a".to_owned(), image("any")), ("a::linux/arm64".to_owned(), image("arm"))];
        let options = LowerOptions { contexts: contexts.into(), ..LowerOptions::default() };
        let found = |name: &str, platform: &str| {
            let platform = Platform::parse(platform, None).unwrap();
            match find(&options, name, &platform)? {
                Origin::Image(request) => Some(request.reference),
                _ => None,
            }
        };
        assert_eq!(found("a", "linux/arm64/v8").as_deref(), Some("arm"));
        assert_eq!(found("docker.io/library/a:latest", "linux/amd64").as_deref(), Some("any"));
        assert_eq!(found("b", "linux/amd64"), None);
        assert_eq!(found("scratch", "linux/amd64"), None);
    }
}
