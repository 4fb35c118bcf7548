//! Where images come from and go to: distribution client and image archives.
//!
//! The nouns ([`Reference`], [`Platform`], [`Document`]) stand apart from the transports: [`Client`] talks
//! to a registry, [`archive`] reads and writes OCI layouts and docker archives. Everything that enters is
//! verified against its digest here; nothing is stored here but logins, in docker's configuration file. The only
//! crate that opens sockets. It reads no environment variable and prints nothing: the command line passes paths
//! and options.

pub mod archive;
mod auth;
mod blob;
mod client;
mod digest;
mod document;
mod download;
mod endpoint;
mod error;
mod login;
mod platform;
mod push;
mod reference;
mod resolve;
mod retry;
mod session;
mod storage;
#[cfg(feature = "testing")]
pub mod testing;
mod transport;
mod upload;

pub use auth::{AuthError, Keeper, Login, LoginAnswer, Logins, StoredLogins};
pub use blob::BlobReader;
pub use client::{Client, ClientOptions, HostOptions, Proxies};
pub use digest::{Verifier, VerifyError, sha256, verify};
pub use document::{
    ConfigSummary, DOCKER_CONFIG, DOCKER_LAYER, DOCKER_LAYER_GZIP, DOCKER_MANIFEST, DOCKER_MANIFEST_LIST,
    Document, DocumentError, MAX_DOCUMENT, Manifest, ManifestOrIndex, is_index, is_manifest,
};
pub use download::{DownloadError, DownloadSink, Downloaded, Validators, plain_url};
pub use endpoint::registry_of;
pub use error::{
    CertificateError, ConnectionError, LoginUse, RegistryDiagnostic, RegistryError, StatusError,
};
pub use oci_spec::image::{Descriptor, Digest, MediaType};
pub use platform::{Platform, PlatformError};
pub use push::PushOutcome;
pub use reference::{DEFAULT_REGISTRY, DEFAULT_TAG, Reference, ReferenceError};
pub use resolve::ResolvedImage;
pub use retry::RetryPolicy;
pub use storage::{Access, AccessKeys, BucketPlace, Location, Storage, StorageError, StorageReader};
pub use upload::BlobSource;
