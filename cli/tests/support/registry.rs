//! A registry on a free loopback port, with the base images in it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, Weak};

use super::daemon::Daemon;
use super::tool::{run, tool, tool_ok};
use super::{scratch_dir, workspace};

/// The base images that every registry of the tests starts with.
pub const BASES: [&str; 3] = ["busybox", "bare", "debian"];

/// Who may use a registry with a password.
pub const USER: &str = "potter";
/// The password.
pub const PASSWORD: &str = "open sesame";
/// The password as the registry knows it (bcrypt).
const PASSWORD_HASH: &str = "$2y$05$abcdefghijklmnopqrstuupx2xBUC4954936wVIjyyPHmUBFu0wCW";

/// A running registry.
pub struct Registry {
    host: String,
    // Dropped in this order: the server goes before its files.
    _server: Daemon,
    dir: tempfile::TempDir,
}

impl Registry {
    /// Starts one with nothing in it.
    pub fn empty() -> Registry {
        Registry::start("")
    }

    /// Starts one with nothing in it that lets in only [`USER`] with [`PASSWORD`].
    pub fn with_password() -> Registry {
        Registry::start("auth: {htpasswd: {realm: tests, path: HTPASSWD}}\n")
    }

    fn start(more: &str) -> Registry {
        let dir = scratch_dir("registry-");
        let passwords = dir.path().join("htpasswd");
        std::fs::write(&passwords, format!("{USER}:{PASSWORD_HASH}\n"))
            .expect("the scratch directory is writable");
        let more = more.replace("HTPASSWD", &passwords.display().to_string());
        let config = dir.path().join("config.yml");
        let storage = dir.path().join("storage");
        let text = format!(
            "version: 0.1\nlog: {{level: info, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: {}}}, delete: {{enabled: true}}}}\n\
             http: {{addr: '127.0.0.1:0', secret: none}}\n{more}",
            storage.display()
        );
        std::fs::write(&config, text).expect("the scratch directory is writable");
        let (server, host) = Daemon::start(tool("docker-registry").arg("serve").arg(&config), |line| {
            let (_, rest) = line.split_once("listening on ")?;
            Some(rest.chars().take_while(|c| c.is_ascii_digit() || ".:".contains(*c)).collect::<String>())
        });
        Registry { host, _server: server, dir }
    }

    /// Starts one with the base images in it.
    pub fn with_bases() -> Registry {
        let registry = Registry::empty();
        for name in BASES {
            registry.push_layout(&base_images().join(name), name);
        }
        registry
    }

    /// The one that the tests of this process share. It ends with its last user.
    pub fn shared() -> Arc<Registry> {
        static SHARED: Mutex<Weak<Registry>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let registry = Arc::new(Registry::with_bases());
            *shared = Arc::downgrade(&registry);
            registry
        })
    }

    /// `127.0.0.1:PORT`.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The reference of an image in it.
    pub fn reference(&self, name: &str) -> String {
        format!("{}/{name}", self.host)
    }

    /// Copies the image `latest` of an OCI layout into it.
    pub fn push_layout(&self, layout: &Path, name: &str) {
        let source = format!("oci:{}:latest", layout.display());
        let target = format!("docker://{}:latest", self.reference(name));
        tool_ok("skopeo", ["copy", "--quiet", "--dest-tls-verify=false", &source, &target]);
    }

    /// The file in which it keeps a blob.
    pub fn blob_path(&self, digest: &str) -> PathBuf {
        let hex = digest.strip_prefix("sha256:").expect("a sha256 digest");
        self.dir.path().join("storage/docker/registry/v2/blobs/sha256").join(&hex[..2]).join(hex).join("data")
    }

    /// The manifest of an image in it, as skopeo reads it.
    pub fn manifest(&self, name: &str) -> serde_json::Value {
        let target = format!("docker://{}", self.reference(name));
        let text = tool_ok("skopeo", ["inspect", "--raw", "--tls-verify=false", &target]);
        serde_json::from_str(&text).expect("a manifest is JSON")
    }
}

/// The directory with the base images, made by the first who asks and kept for the next run.
pub fn base_images() -> &'static Path {
    static IMAGES: OnceLock<PathBuf> = OnceLock::new();
    IMAGES.get_or_init(|| {
        let images = workspace().join("target/base-images");
        run(tool("bash").arg(workspace().join("scripts/base-images")).arg(&images)).ok();
        images
    })
}
