//! The values of `--cache-to` and `--cache-from`: shared caches, in buildx's syntax.
//!
//! Comma-separated `key=value`, or a bare reference for `type=registry`. Parsed here; credentials and defaults from the
//! environment are added by `crate::commands::build`.

use std::path::PathBuf;

use super::output::split_csv;

/// One `--cache-from`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheFrom {
    /// Where the cache is.
    pub place: PlaceSpec,
}

/// One `--cache-to`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheTo {
    /// Where the cache goes; `None` is into the image.
    pub place: Option<PlaceSpec>,
    /// Every step's layer, or only those of the image.
    pub max: bool,
    /// How layers are compressed.
    pub compression: Option<LayerCompression>,
    /// Whether layers are compressed again that are compressed otherwise.
    pub force_compression: bool,
    /// False if a cache that cannot be written fails the build.
    pub ignore_error: bool,
    /// Cache mounts that travel along.
    pub mounts: Vec<String>,
}

/// `compression=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerCompression {
    /// A tar.
    Uncompressed,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
}

/// A place as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlaceSpec {
    /// A repository.
    Registry {
        /// The reference.
        reference: String,
        /// Whether plain HTTP will do.
        insecure: bool,
    },
    /// A directory.
    Local {
        /// The directory.
        path: PathBuf,
        /// The cache's name in it.
        tag: String,
        /// Its digest, in place of the name.
        digest: Option<String>,
    },
    /// A bucket.
    S3(S3Spec),
    /// The cache service of GitHub Actions.
    Gha {
        /// Its address, if not the environment's.
        url: Option<String>,
        /// Its token, if not the environment's.
        token: Option<String>,
        /// Which cache.
        scope: String,
    },
}

/// A bucket as it was written; what is absent comes from the environment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct S3Spec {
    /// The bucket.
    pub bucket: Option<String>,
    /// Its region.
    pub region: Option<String>,
    /// The cache's name.
    pub name: Option<String>,
    /// What all keys begin with.
    pub prefix: Option<String>,
    /// What follows for blobs.
    pub blobs_prefix: Option<String>,
    /// What follows for documents.
    pub manifests_prefix: Option<String>,
    /// The service's address.
    pub endpoint: Option<String>,
    /// Whether the bucket stands in the path.
    pub path_style: bool,
    /// The public half of the keys.
    pub access_key_id: Option<String>,
    /// The secret half.
    pub secret_access_key: Option<String>,
    /// Of keys that were lent.
    pub session_token: Option<String>,
}

/// Keys of S3.
const S3: &[&str] = &[
    "bucket",
    "region",
    "name",
    "prefix",
    "blobs_prefix",
    "manifests_prefix",
    "endpoint_url",
    "use_path_style",
    "access_key_id",
    "secret_access_key",
    "session_token",
];
/// Keys that every export takes.
const EXPORT: &[&str] = &["mode", "ignore-error", "compression", "force-compression", "mounts"];
/// Types that are known.
const TYPES: &str = "registry, local, s3, gha";

impl CacheFrom {
    /// Reads one value.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut fields = Fields::read(text)?;
        let kind = fields.kind.clone();
        let place = match kind.as_str() {
            "local" => fields.local("src")?,
            "inline" => {
                let message = "an inline cache is read from its image";
                return Err(format!("{message}: write type=registry,ref=IMAGE"));
            }
            _ => fields.place(TYPES)?,
        };
        fields.finish(keys(&kind, "src"), &[])?;
        Ok(Self { place })
    }
}

impl CacheTo {
    /// Reads one value.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut fields = Fields::read(text)?;
        let kind = fields.kind.clone();
        let place = match kind.as_str() {
            "inline" => None,
            "local" => Some(fields.local("dest")?),
            _ => Some(fields.place("inline, registry, local, s3, gha")?),
        };
        for only in ["image-manifest", "oci-mediatypes"] {
            if kind != "inline" && fields.boolean(only)? == Some(false) {
                return Err(format!("{only}=false: kiln's caches are OCI image manifests"));
            }
        }
        let spec = Self {
            max: fields.is_max()?,
            compression: fields.compression()?,
            force_compression: fields.boolean("force-compression")?.unwrap_or(false),
            ignore_error: fields.boolean("ignore-error")?.unwrap_or(true),
            mounts: std::mem::take(&mut fields.mounts),
            place,
        };
        if spec.place.is_none() && (spec.max || !spec.mounts.is_empty()) {
            return Err(
                "type=inline has the layers of the image only; mode=max and mounts= need a cache of its own"
                    .to_owned(),
            );
        }
        if !spec.max && !spec.mounts.is_empty() {
            return Err("mounts= needs mode=max".to_owned());
        }
        let more: &[&str] = if kind == "inline" { &[] } else { &["image-manifest", "oci-mediatypes"] };
        fields.finish(keys(&kind, "dest"), &[EXPORT, more].concat())?;
        Ok(spec)
    }

    /// The cache that `BUILDKIT_INLINE_CACHE=1` asks for.
    pub fn inline() -> Self {
        Self {
            place: None,
            max: false,
            compression: None,
            force_compression: false,
            ignore_error: true,
            mounts: Vec::new(),
        }
    }
}

/// The keys of a type, `local` with its own word for the directory.
fn keys(kind: &str, directory: &'static str) -> &'static [&'static str] {
    match (kind, directory) {
        ("registry", _) => &["ref", "registry.insecure"],
        ("local", "src") => &["src", "tag", "digest"],
        ("local", _) => &["dest", "tag"],
        ("s3", _) => S3,
        ("gha", _) => &["url", "url_v2", "token", "scope", "version"],
        _ => &[],
    }
}

/// `key=value` pairs that have not been used yet.
struct Fields {
    kind: String,
    pairs: Vec<(String, String)>,
    mounts: Vec<String>,
}

impl Fields {
    fn read(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("a cache needs a type or a reference".to_owned());
        }
        let mut fields = Self { kind: "registry".to_owned(), pairs: Vec::new(), mounts: Vec::new() };
        if !text.contains('=') {
            if text.contains(',') {
                return Err(format!("`{text}` is neither a reference nor key=value"));
            }
            fields.pairs.push(("ref".to_owned(), text.to_owned()));
            return Ok(fields);
        }
        let mut in_mounts = false;
        for field in split_csv(text)? {
            match field.split_once('=') {
                Some((key, value)) => {
                    let key = key.trim().to_ascii_lowercase();
                    in_mounts = key == "mounts";
                    if in_mounts {
                        fields.add_mounts(value);
                    } else {
                        fields.pairs.push((key, value.to_owned()));
                    }
                }
                // The ids of mounts=a,b,c stand between the same commas.
                None if in_mounts => fields.add_mounts(&field),
                None => return Err(format!("`{field}` is not key=value")),
            }
        }
        fields.kind = fields.take("type").ok_or_else(|| format!("`{text}` has no type="))?;
        Ok(fields)
    }

    fn add_mounts(&mut self, ids: &str) {
        self.mounts.extend(ids.split(',').filter(|id| !id.is_empty()).map(str::to_owned));
    }

    /// The last value given for the key; an empty one is none.
    fn take(&mut self, key: &str) -> Option<String> {
        let value = self.pairs.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.clone());
        self.pairs.retain(|(name, _)| name != key);
        value.filter(|value| !value.is_empty())
    }

    fn boolean(&mut self, key: &str) -> Result<Option<bool>, String> {
        match self.take(key).as_deref() {
            None => Ok(None),
            Some("1" | "t" | "true") => Ok(Some(true)),
            Some("0" | "f" | "false") => Ok(Some(false)),
            Some(other) => Err(format!("{key}={other}: true or false is meant")),
        }
    }

    fn is_max(&mut self) -> Result<bool, String> {
        match self.take("mode").as_deref() {
            None | Some("min") => Ok(false),
            Some("max") => Ok(true),
            Some(other) => Err(format!("mode={other}: min or max is meant")),
        }
    }

    fn compression(&mut self) -> Result<Option<LayerCompression>, String> {
        match self.take("compression").as_deref() {
            None => Ok(None),
            Some("uncompressed") => Ok(Some(LayerCompression::Uncompressed)),
            Some("gzip") => Ok(Some(LayerCompression::Gzip)),
            Some("zstd") => Ok(Some(LayerCompression::Zstd)),
            Some(other) => Err(format!("compression={other}: uncompressed, gzip or zstd is meant")),
        }
    }

    fn place(&mut self, known: &str) -> Result<PlaceSpec, String> {
        match self.kind.as_str() {
            "registry" => {
                let reference = self.take("ref").ok_or("type=registry needs ref=REFERENCE")?;
                let insecure = self.boolean("registry.insecure")?.unwrap_or(false);
                Ok(PlaceSpec::Registry { reference, insecure })
            }
            "s3" => Ok(PlaceSpec::S3(self.s3()?)),
            "gha" => self.gha(),
            "azblob" => Err(format!("type=azblob is not supported; it may be one of {known}")),
            other => Err(format!("cache type `{other}` is not one of {known}")),
        }
    }

    fn local(&mut self, directory: &str) -> Result<PlaceSpec, String> {
        let path = self.take(directory).ok_or_else(|| format!("type=local needs {directory}=DIR"))?;
        let tag = self.take("tag").unwrap_or_else(|| "latest".to_owned());
        let digest = if directory == "src" { self.take("digest") } else { None };
        Ok(PlaceSpec::Local { path: path.into(), tag, digest })
    }

    fn s3(&mut self) -> Result<S3Spec, String> {
        let spec = S3Spec {
            bucket: self.take("bucket"),
            region: self.take("region"),
            name: self.take("name"),
            prefix: self.take("prefix"),
            blobs_prefix: self.take("blobs_prefix"),
            manifests_prefix: self.take("manifests_prefix"),
            endpoint: self.take("endpoint_url"),
            path_style: self.boolean("use_path_style")?.unwrap_or(false),
            access_key_id: self.take("access_key_id"),
            secret_access_key: self.take("secret_access_key"),
            session_token: self.take("session_token"),
        };
        if spec.name.as_ref().is_some_and(|name| name.contains(';')) {
            return Err("type=s3: name= takes one name".to_owned());
        }
        if spec.access_key_id.is_some() != spec.secret_access_key.is_some() {
            return Err("type=s3: access_key_id= and secret_access_key= belong together".to_owned());
        }
        Ok(spec)
    }

    fn gha(&mut self) -> Result<PlaceSpec, String> {
        if let Some(version) = self.take("version").filter(|version| version != "2") {
            return Err(format!("type=gha,version={version}: only version 2 of the service is known"));
        }
        let (old, new) = (self.take("url"), self.take("url_v2"));
        let scope = self.take("scope").unwrap_or_else(|| "default".to_owned());
        Ok(PlaceSpec::Gha { url: new.or(old), token: self.take("token"), scope })
    }

    fn finish(self, known: &[&str], more: &[&str]) -> Result<(), String> {
        let Some((key, _)) = self.pairs.first() else {
            let is_fine = self.mounts.is_empty();
            return if is_fine { Ok(()) } else { Err("mounts= belongs to --cache-to".to_owned()) };
        };
        let all: Vec<&str> = known.iter().chain(more).copied().collect();
        let kind = self.kind;
        if all.is_empty() {
            return Err(format!("type={kind} takes no `{key}=`"));
        }
        Err(format!("type={kind} does not know `{key}=`; it takes {}", all.join(", ")))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn registry(reference: &str) -> PlaceSpec {
        PlaceSpec::Registry { reference: reference.to_owned(), insecure: false }
    }

    #[test]
    fn a_bare_reference_is_a_registry() {
        assert_eq!(CacheFrom::parse("h:5000/a:b").unwrap().place, registry("h:5000/a:b"));
        let to = CacheTo::parse("h:5000/a:b").unwrap();
        assert_eq!((to.place, to.max, to.ignore_error), (Some(registry("h:5000/a:b")), false, true));
    }

    #[test]
    fn exports() {
        let to = CacheTo::parse("type=registry,ref=a,mode=max,compression=zstd,force-compression=true,ignore-error=false,image-manifest=true,oci-mediatypes=true").unwrap();
        assert!(to.max && to.force_compression && !to.ignore_error);
        assert_eq!(to.compression, Some(LayerCompression::Zstd));
        assert_eq!(CacheTo::parse("type=inline").unwrap(), CacheTo::inline());
        let local = CacheTo::parse("type=local,dest=/c,tag=x").unwrap().place;
        assert_eq!(local, Some(PlaceSpec::Local { path: "/c".into(), tag: "x".into(), digest: None }));
        for text in [
            "type=local,dest=c,mode=max,mounts=a,b,ignore-error=true",
            "type=local,mode=max,\"mounts=a,b\",dest=c",
        ] {
            assert_eq!(CacheTo::parse(text).unwrap().mounts, ["a", "b"], "{text}");
        }
    }

    #[test]
    fn imports() {
        let local = CacheFrom::parse("type=local,src=/c").unwrap().place;
        assert_eq!(local, PlaceSpec::Local { path: "/c".into(), tag: "latest".into(), digest: None });
        let text = "type=s3,bucket=b,region=r,prefix=p/,endpoint_url=http://h:1,use_path_style=true,access_key_id=i,secret_access_key=s";
        let PlaceSpec::S3(s3) = CacheFrom::parse(text).unwrap().place else { unreachable!() };
        assert_eq!((s3.bucket.as_deref(), s3.endpoint.as_deref()), (Some("b"), Some("http://h:1")));
        let gha = CacheFrom::parse("type=gha,url_v2=https://x,token=t").unwrap().place;
        let (url, token) = (Some("https://x".to_owned()), Some("t".to_owned()));
        assert_eq!(gha, PlaceSpec::Gha { url, token, scope: "default".to_owned() });
    }

    #[test]
    fn mistakes_are_named_with_what_is_known() {
        let from = |text: &str| CacheFrom::parse(text).unwrap_err();
        let to = |text: &str| CacheTo::parse(text).unwrap_err();
        assert!(from("type=ftp,ref=x").contains("registry, local, s3, gha"));
        assert!(to("type=ftp").contains("inline, registry"));
        assert!(to("type=azblob,name=x").contains("not supported"));
        assert!(from("type=registry").contains("ref="));
        assert!(from("type=registry,ref=a,reff=b").contains("it takes ref, registry.insecure"));
        assert!(from("type=local,dest=x").contains("src=DIR"));
        assert!(to("type=local,src=x").contains("dest=DIR"));
        assert!(from("type=inline").contains("type=registry"));
        assert!(to("type=registry,ref=a,mode=all").contains("min or max"));
        assert!(to("type=registry,ref=a,image-manifest=false").contains("OCI image manifests"));
        assert!(to("type=registry,ref=a,compression=estargz").contains("zstd"));
        assert!(to("type=inline,mode=max").contains("inline"));
        assert!(to("type=local,dest=x,mounts=a").contains("mode=max"));
        assert!(from("type=local,src=x,mounts=a").contains("--cache-to"));
        assert!(from("type=gha,version=1").contains("version 2"));
        assert!(from("type=s3,access_key_id=x").contains("belong together"));
        assert!(from("").contains("type") && from("a,b").contains("reference"));
        assert!(from("type=registry,ref").contains("key=value"));
    }
}
