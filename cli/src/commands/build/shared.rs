//! Shared caches: `--cache-to` and `--cache-from` become places, with what the environment adds; and what is said about
//! them after the build.

use kiln_builder::{
    Builder, CacheExport, CacheExportReport, CacheImportReport, CacheMode, CachePlace, CacheTarget, Progress,
    SharedCaches,
};
use kiln_cache::Compression;
use kiln_registry::{Access, AccessKeys, BucketPlace, Location, Reference};

use crate::environment::Environment;
use crate::error::CliError;
use crate::flags::build::BuildFlags;
use crate::flags::cache::{CacheTo, LayerCompression, PlaceSpec, S3Spec};
use crate::output::size;

/// The build argument that asks for an inline cache.
const INLINE: &str = "BUILDKIT_INLINE_CACHE";
/// The region of a service that has only one, where nobody names any.
const REGION: &str = "us-east-1";
/// Said where a place is no reference.
const DIRECTORY: &str =
    "a directory is written type=local,src=DIRECTORY to be read, type=local,dest=DIRECTORY to be written";
/// The name of a cache in a bucket: another than BuildKit's, whose format is another.
const NAME: &str = "kiln";

/// The shared caches of a build.
#[derive(Debug, Default)]
pub struct Caches {
    /// Those that are read.
    pub imports: Vec<CachePlace>,
    /// Those that are written.
    pub exports: Vec<CacheExport>,
}

impl Caches {
    /// Reads the flags; a place that is none is found before anything is built.
    pub fn read(flags: &BuildFlags, environment: &Environment) -> Result<Self, CliError> {
        let mut caches = Self::default();
        for spec in &flags.cache_from {
            let (location, access) = place(&spec.place, "--cache-from", environment)?;
            caches.imports.push(CachePlace { location, access });
        }
        let mut specs = flags.cache_to.clone();
        let inline = flags.build_args.iter().any(|argument| is_inline(argument));
        if inline && specs.iter().all(|spec| spec.place.is_some()) {
            specs.push(CacheTo::inline());
        }
        for spec in specs {
            caches.exports.push(export(spec, environment)?);
        }
        Ok(caches)
    }

    /// Opens them, and begins to read those that are read.
    pub fn open(
        &self,
        builder: &Builder,
        platform: &str,
        progress: &Progress,
    ) -> Result<SharedCaches, CliError> {
        Ok(builder.shared_caches(&self.imports, self.exports.clone(), platform, progress)?)
    }
}

fn is_inline(argument: &str) -> bool {
    let value = argument.strip_prefix(INLINE).and_then(|rest| rest.strip_prefix('='));
    value.is_some_and(|value| matches!(value.to_ascii_lowercase().as_str(), "1" | "t" | "true"))
}

fn export(spec: CacheTo, environment: &Environment) -> Result<CacheExport, CliError> {
    let target = match &spec.place {
        None => CacheTarget::Inline,
        Some(written) => {
            let (location, access) = place(written, "--cache-to", environment)?;
            CacheTarget::Place(Box::new(CachePlace { location, access }))
        }
    };
    Ok(CacheExport {
        target,
        mode: if spec.max { CacheMode::Max } else { CacheMode::Min },
        compression: spec.compression.map(|compression| match compression {
            LayerCompression::Uncompressed => Compression::None,
            LayerCompression::Gzip => Compression::Gzip,
            LayerCompression::Zstd => Compression::Zstd,
        }),
        force_compression: spec.force_compression,
        ignore_error: spec.ignore_error,
        mounts: spec.mounts,
    })
}

/// A place, and the keys to it where the flag has them.
fn place(
    spec: &PlaceSpec,
    flag: &str,
    environment: &Environment,
) -> Result<(Location, Option<Access>), CliError> {
    match spec {
        PlaceSpec::Registry { reference, insecure } => {
            let wrong = |error| CliError::usage_with_hint(format!("{flag}: {error}"), DIRECTORY);
            let reference = Reference::parse(reference).map_err(wrong)?;
            Ok((Location::Registry { reference: reference.to_string(), insecure: *insecure }, None))
        }
        PlaceSpec::Local { path, tag, digest } => {
            let path = std::path::absolute(path).map_err(CliError::file("use the cache directory", path))?;
            Ok((Location::Directory { path, tag: tag.clone(), digest: digest.clone() }, None))
        }
        PlaceSpec::S3(s3) => bucket(s3, flag, environment),
        PlaceSpec::Gha { url, token, scope } => {
            let url = url.as_deref().or_else(|| filled(environment, "ACTIONS_RESULTS_URL"));
            let Some(url) = url else {
                return Err(CliError::usage_with_hint(
                    format!("{flag} type=gha: the address of the cache service is not known"),
                    "in a workflow it is in ACTIONS_RESULTS_URL; elsewhere, write url_v2=URL,token=TOKEN",
                ));
            };
            let access = token.clone().map(|token| Access { token: Some(token), keys: None });
            Ok((Location::Actions { url: url.to_owned(), scope: scope.clone() }, access))
        }
    }
}

fn bucket(
    s3: &S3Spec,
    flag: &str,
    environment: &Environment,
) -> Result<(Location, Option<Access>), CliError> {
    let or = |given: &Option<String>, name: &str| {
        given.clone().or_else(|| filled(environment, name).map(str::to_owned))
    };
    let missing = |what: &str, key: &str, variable: &str| {
        CliError::usage_with_hint(
            format!("{flag} type=s3: the {what} is not known"),
            format!("write {key}=…, or set {variable}"),
        )
    };
    let endpoint = or(&s3.endpoint, "AWS_ENDPOINT_URL");
    let region = or(&s3.region, "AWS_REGION").or_else(|| or(&None, "AWS_DEFAULT_REGION"));
    let region = region.or_else(|| endpoint.is_some().then(|| REGION.to_owned()));
    let place = BucketPlace {
        bucket: or(&s3.bucket, "AWS_BUCKET").ok_or_else(|| missing("bucket", "bucket", "AWS_BUCKET"))?,
        region: region.ok_or_else(|| missing("region", "region", "AWS_REGION"))?,
        endpoint,
        path_style: s3.path_style,
        prefix: s3.prefix.clone().unwrap_or_default(),
        blobs_prefix: s3.blobs_prefix.clone().unwrap_or_else(|| "blobs/".to_owned()),
        manifests_prefix: s3.manifests_prefix.clone().unwrap_or_else(|| "manifests/".to_owned()),
        name: s3.name.clone().unwrap_or_else(|| NAME.to_owned()),
    };
    let given = s3.access_key_id.clone().zip(s3.secret_access_key.clone());
    let access = given.map(|(id, secret)| Access {
        keys: Some(AccessKeys { id, secret, session_token: s3.session_token.clone() }),
        token: None,
    });
    Ok((Location::Bucket(place), access))
}

fn filled<'a>(environment: &'a Environment, name: &str) -> Option<&'a str> {
    environment.variable(name).filter(|value| !value.is_empty())
}

/// What the caches did, one line each.
pub fn summary(imports: &[CacheImportReport], exports: &[CacheExportReport]) -> Vec<String> {
    let read = imports.iter().filter(|report| report.is_read).map(|report| {
        format!(
            "cache from {}: {} of {} known {} used, {} of metadata and {} of layers fetched",
            report.place,
            report.answered,
            report.known,
            steps(report.known),
            size::short(report.metadata),
            size::short(report.layers),
        )
    });
    let written = exports.iter().map(|report| {
        let (count, bytes) = report.sent;
        let mounts = match report.mounts {
            0 => String::new(),
            1 => ", 1 cache mount".to_owned(),
            count => format!(", {count} cache mounts"),
        };
        format!(
            "cache to {}: {} {}{mounts}, {count} blobs sent ({}), {} already there",
            report.place,
            report.steps,
            steps(report.steps),
            size::short(bytes),
            report.existed,
        )
    });
    read.chain(written).collect()
}

fn steps(count: usize) -> &'static str {
    if count == 1 { "step" } else { "steps" }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::flags::cache::CacheFrom;

    fn flags(from: &[&str], to: &[&str], arguments: &[&str]) -> BuildFlags {
        BuildFlags {
            cache_from: from.iter().map(|text| CacheFrom::parse(text).unwrap()).collect(),
            cache_to: to.iter().map(|text| CacheTo::parse(text).unwrap()).collect(),
            build_args: arguments.iter().map(|&text| text.to_owned()).collect(),
            ..BuildFlags::default()
        }
    }

    #[test]
    fn places_are_completed_from_the_environment() {
        let environment = Environment::of(
            &[
                ("AWS_REGION", "r"),
                ("AWS_ACCESS_KEY_ID", "i"),
                ("AWS_SECRET_ACCESS_KEY", "s"),
                ("ACTIONS_RESULTS_URL", "https://x/"),
            ],
            true,
        );
        let caches =
            Caches::read(&flags(&["a", "type=s3,bucket=b", "type=gha"], &[], &[]), &environment).unwrap();
        let places: Vec<String> = caches.imports.iter().map(|import| import.location.to_string()).collect();
        assert_eq!(places, ["library/a:latest", "s3://b/manifests/kiln", "the Actions cache `default`"]);
        assert!(caches.imports.iter().all(|import| import.access.is_none()));
        let nothing = Environment::of(&[], true);
        for text in ["type=s3,region=r", "type=s3,bucket=b", "type=gha"] {
            assert!(Caches::read(&flags(&[text], &[], &[]), &nothing).is_err(), "{text}");
        }
        assert!(
            Caches::read(&flags(&["type=s3,bucket=b,endpoint_url=http://h"], &[], &[]), &nothing).is_ok()
        );
    }

    #[test]
    fn a_build_argument_asks_for_an_inline_cache() {
        let count = |to: &[&str], argument: &str| {
            Caches::read(&flags(&[], to, &[argument]), &Environment::of(&[], true)).unwrap().exports.len()
        };
        assert_eq!(count(&[], "BUILDKIT_INLINE_CACHE=1"), 1);
        assert_eq!(count(&["type=inline"], "BUILDKIT_INLINE_CACHE=1"), 1);
        assert_eq!(count(&["a"], "BUILDKIT_INLINE_CACHE=true"), 2);
        assert_eq!(count(&[], "BUILDKIT_INLINE_CACHE=0"), 0);
        assert_eq!(count(&[], "BUILDKIT_INLINE_CACHE"), 0);
    }
}
