//! Base images: which are asked for, and what a stage inherits from one.

use std::collections::BTreeMap;

use kiln_parser::Diagnostic;
use kiln_parser::span::Span;

use super::onbuild;
use super::platform::Platform;
use super::stages::{Origin, Stages, named_sources};
use super::unresolved::{Unresolved, unknown_bases, unresolved};
use crate::image::{ContainerConfig, History, ImageConfig};
use crate::plan::{BaseRequest, ResolveBase, ResolveFailure, ResolvedBase};

/// What a process finds its commands in when nobody said where.
pub(super) const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Keys of an image's document that tell how that image was made, not what it is. An image made from it
/// does not inherit them.
const OF_ITS_OWN_BUILD: &[&str] =
    &["id", "parent", "container", "container_config", "docker_version", "throwaway", "Size"];

/// The same for the `config` object: how a container was run to make the image.
const OF_ITS_OWN_CONTAINER: &[&str] = &[
    "Hostname",
    "Domainname",
    "AttachStdin",
    "AttachStdout",
    "AttachStderr",
    "Tty",
    "OpenStdin",
    "StdinOnce",
    "Image",
    "NetworkDisabled",
    "MacAddress",
];

/// The same, for keys of BuildKit's (an inline cache, provenance).
const BUILDKIT_PREFIX: &str = "moby.buildkit.";

/// The images that were asked for, with the answers.
pub(super) type Resolved = BTreeMap<BaseRequest, ResolvedBase>;

/// Resolves every image that the needed stages need, and gives each of them its triggers. Triggers may need
/// further stages and images; then there is another round. Where `check` is set, only the bases of stages are asked for,
/// and those that cannot be resolved are only remarked on.
pub(super) fn resolve(
    stages: &mut Stages<'_>,
    bases: &dyn ResolveBase,
    check: bool,
    diagnostics: &mut Vec<Diagnostic>,
) -> Resolved {
    let mut resolved = Resolved::new();
    let mut triggered = vec![false; stages.len()];
    let mut unknown: Vec<Unresolved> = Vec::new();
    loop {
        let errors = diagnostics.len();
        let wanted = wanted(stages, check, |request| {
            resolved.contains_key(request) || unknown.iter().any(|known| known.request == *request)
        });
        let failed = ask(wanted, bases, &mut resolved);
        if check {
            unknown.extend(failed);
        } else {
            diagnostics.extend(failed.into_iter().map(|failed| unresolved(stages, failed)));
        }
        if diagnostics.iter().skip(errors).any(Diagnostic::is_error) {
            break;
        }
        if !take_triggers(stages, &resolved, &mut triggered, diagnostics) {
            break;
        }
        stages.mark_needed_again();
    }
    for index in (0..stages.len()).filter(|index| stages.is_needed(*index)) {
        diagnostics.extend(stages.findings(index));
    }
    diagnostics.extend(unknown_bases(stages, unknown));
    resolved
}

/// The images that the needed stages need and that are not known yet, and where they are named.
fn wanted(
    stages: &Stages<'_>,
    check: bool,
    is_known: impl Fn(&BaseRequest) -> bool,
) -> Vec<(BaseRequest, Span)> {
    let mut wanted: Vec<(BaseRequest, Span)> = Vec::new();
    for index in (0..stages.len()).filter(|index| stages.is_needed(*index)) {
        // Of all but the base only files are taken, which no check looks at.
        let base = stages.get(index).origin.iter().cloned();
        let origins: Vec<Origin> = if check { base.collect() } else { stages.origins(index).collect() };
        for origin in origins {
            let Origin::Image(request) = origin else { continue };
            if !is_known(&request) && !wanted.iter().any(|(other, _)| *other == request) {
                let span = place_of(stages, index, &request);
                wanted.push((request, span));
            }
        }
    }
    wanted
}

/// Asks for all of them at once; gives those that have no answer.
fn ask(
    wanted: Vec<(BaseRequest, Span)>,
    bases: &dyn ResolveBase,
    resolved: &mut Resolved,
) -> Vec<Unresolved> {
    if wanted.is_empty() {
        return Vec::new();
    }
    let asked: Vec<BaseRequest> = wanted.iter().map(|(request, _)| request.clone()).collect();
    let mut answers = bases.resolve(&asked).into_iter();
    let mut failed = Vec::new();
    for (request, span) in wanted {
        match answers.next() {
            Some(Ok(base)) => drop(resolved.insert(request, base)),
            Some(Err(failure)) => failed.push(Unresolved { request, failure, span }),
            None => {
                let message = format!("nothing is known about the image {}", request.reference);
                failed.push(Unresolved { request, failure: ResolveFailure { message, help: None }, span });
            }
        }
    }
    failed
}

/// Where the stage names the image.
fn place_of(stages: &Stages<'_>, index: usize, request: &BaseRequest) -> Span {
    let stage = stages.get(index);
    let is_it = |origin: Option<Origin>| origin == Some(Origin::Image(request.clone()));
    if is_it(stage.origin.clone().ok()) {
        return stage.source.from.base.span;
    }
    let mut named = stage.instructions().iter().flat_map(named_sources);
    let found = named.find(|from| is_it(stages.named_origin(index, from).ok()));
    found.map_or(stage.source.from.span, |from| from.span)
}

/// Gives needed stages the triggers of their bases; true when there were any.
fn take_triggers(
    stages: &mut Stages<'_>,
    resolved: &Resolved,
    triggered: &mut [bool],
    diagnostics: &mut Vec<Diagnostic>,
) -> bool {
    let mut any = false;
    for (index, triggered) in triggered.iter_mut().enumerate() {
        if !stages.is_needed(index) || std::mem::replace(triggered, true) {
            continue;
        }
        let stage = stages.get(index);
        let texts = match &stage.origin {
            Ok(Origin::Stage(base)) => onbuild::of_stage(stages.get(*base).instructions()),
            Ok(Origin::Image(request)) if !stage.replaced => {
                let base = resolved.get(request).into_iter();
                base.flat_map(|base| &base.config.config.on_build).map(String::as_str).collect()
            }
            Ok(Origin::Image(_) | Origin::Scratch | Origin::Files { .. }) | Err(_) => Vec::new(),
        };
        let triggers = onbuild::parse(texts, stage.source.from.span, diagnostics);
        any |= !triggers.is_empty();
        stages.add_triggers(index, triggers);
    }
    any
}

/// The configuration of an image without files.
pub(super) fn scratch_config(platform: &Platform) -> ImageConfig {
    let mut config = ImageConfig {
        config: ContainerConfig {
            env: vec![format!("PATH={DEFAULT_PATH}")],
            working_dir: "/".to_owned(),
            ..ContainerConfig::default()
        },
        ..ImageConfig::default()
    };
    set_platform(&mut config, platform);
    config
}

/// What an image made from `base` starts with.
pub(super) fn inherited_config(base: &ImageConfig) -> ImageConfig {
    let mut config = base.clone();
    config.created = None;
    config.config.on_build = Vec::new();
    config
        .other
        .retain(|key, _| !OF_ITS_OWN_BUILD.contains(&key.as_str()) && !key.starts_with(BUILDKIT_PREFIX));
    config.config.other.retain(|key, _| !OF_ITS_OWN_CONTAINER.contains(&key.as_str()));
    balance_history(&mut config.history, base.rootfs.diff_ids.len());
    config.rootfs = crate::image::RootFs::default();
    if !config.config.env.iter().any(|variable| variable.starts_with("PATH=")) {
        config.config.env.push(format!("PATH={DEFAULT_PATH}"));
    }
    config
}

/// Makes the history tell of exactly `layers` layers. Some tools write none, or too little.
fn balance_history(history: &mut Vec<History>, layers: usize) {
    let told = history.iter().filter(|entry| !entry.empty_layer).count();
    for _ in told..layers {
        let comment = Some("layer of the base image, of which its history says nothing".to_owned());
        history.push(History { comment, ..History::default() });
    }
    let untrue =
        history.iter_mut().rev().filter(|entry| !entry.empty_layer).take(told.saturating_sub(layers));
    untrue.for_each(|entry| entry.empty_layer = true);
}

/// Writes the platform into the configuration.
pub(super) fn set_platform(config: &mut ImageConfig, platform: &Platform) {
    let same = config.os == platform.os && config.architecture == platform.arch;
    config.os.clone_from(&platform.os);
    config.architecture.clone_from(&platform.arch);
    // A base may know its variant better than the request for its architecture.
    if !same || !platform.variant.is_empty() {
        config.variant = Some(platform.variant.clone()).filter(|variant| !variant.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(empty: &[bool]) -> Vec<History> {
        empty.iter().map(|&empty_layer| History { empty_layer, ..History::default() }).collect()
    }

    #[test]
    fn the_history_tells_of_every_layer_and_of_no_other() {
        for (empty, layers, expected) in [
            (&[][..], 0, &[][..]),
            (&[], 2, &[false, false]),
            (&[false, true], 1, &[false, true]),
            (&[false, true], 3, &[false, true, false, false]),
            (&[false, true, false, false], 1, &[false, true, true, true]),
        ] {
            let mut history = history(empty);
            balance_history(&mut history, layers);
            let found: Vec<bool> = history.iter().map(|entry| entry.empty_layer).collect();
            assert_eq!(found, expected, "{empty:?} with {layers} layers");
        }
    }

    #[test]
    fn a_child_inherits_what_its_base_is_and_not_how_it_was_made() {
        let mut base = ImageConfig { created: Some("then".to_owned()), ..ImageConfig::default() };
        for key in ["container", "moby.buildkit.cache.v0", "os.features", "org.example"] {
            base.other.insert(key.to_owned(), serde_json::Value::Null);
        }
        for key in ["Hostname", "StopTimeout"] {
            base.config.other.insert(key.to_owned(), serde_json::Value::Null);
        }
        base.config.on_build.push("RUN x".to_owned());
        let child = inherited_config(&base);
        assert_eq!(child.created, None);
        assert!(child.config.on_build.is_empty());
        assert_eq!(child.other.keys().collect::<Vec<_>>(), ["org.example", "os.features"]);
        assert_eq!(child.config.other.keys().collect::<Vec<_>>(), ["StopTimeout"]);
        assert_eq!(child.config.env, [format!("PATH={DEFAULT_PATH}")]);
    }

    #[test]
    fn the_variant_of_a_base_outlives_a_request_without_one() {
        let platform =
            |text: &str| Platform::parse(text, None).unwrap_or_else(|_| Platform::normal("", "", ""));
        let mut config = ImageConfig { variant: Some("v8".to_owned()), ..ImageConfig::default() };
        set_platform(&mut config, &platform("linux/arm/v6"));
        assert_eq!(config.variant.as_deref(), Some("v6"));
        set_platform(&mut config, &platform("linux/arm64"));
        assert_eq!(config.variant, None);
        config.variant = Some("v8".to_owned());
        set_platform(&mut config, &platform("linux/arm64"));
        assert_eq!(config.variant.as_deref(), Some("v8"));
    }
}
