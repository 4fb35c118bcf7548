//! Docker's `config.json` as a place that logins are written to and removed from.
//!
//! A login goes to the credential helper that the file names for its registry, else into the file. The file is
//! replaced whole ([`super::edit`] says by what): readers see the old one or the new one. Whether a login is any
//! good is the caller's business ([`crate::Client::verify_login`]). Called by `login` and `logout` of the command
//! line. Everything here may block.

use std::fs::{DirBuilder, File};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, fchown};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::config::{DockerConfig, is_same_host, server_key};
use super::{AuthError, Credential, Login, edit, helper};

/// Mode of a directory that is made for the file: its owner's alone, as docker has it.
const DIRECTORY_MODE: u32 = 0o700;

/// The logins of a configuration file.
#[derive(Debug, Clone)]
pub struct StoredLogins {
    path: PathBuf,
}

/// Who keeps a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keeper {
    /// The configuration file, where whoever can read the file can read it.
    File(PathBuf),
    /// The credential helper of this name.
    Helper(String),
}

impl StoredLogins {
    /// The logins of the file at `path`, which need not exist.
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// The name under which docker keeps a registry's login: `https://index.docker.io/v1/` for docker.io, for others
    /// their own.
    pub fn key(registry: &str) -> &str {
        server_key(registry)
    }

    /// Whether the file can be read; what its entries are worth is another question.
    pub fn check(&self) -> Result<(), AuthError> {
        self.config().map(drop)
    }

    /// The login at a registry, if there is one.
    pub fn find(&self, registry: &str) -> Result<Option<Login>, AuthError> {
        Ok(match self.config()?.credential(registry)? {
            Credential::Basic { username, password } => Some(Login::Basic { username, password }),
            Credential::Identity { token } => Some(Login::Identity { token }),
            // A finished token ends by itself; nobody logged in to get it.
            Credential::Registry { .. } | Credential::None => None,
        })
    }

    /// Keeps user and password for a registry, in the place of what was kept for it.
    pub fn store(&self, registry: &str, username: &str, password: &str) -> Result<Keeper, AuthError> {
        let key = server_key(registry);
        let (keeper, entry) = if let Some(name) = self.config()?.helper(registry) {
            helper::store(name, key, username, password)?;
            // An empty entry, as docker has it: what the file kept before must not stay beside the helper's.
            (Keeper::Helper(name.to_owned()), json!({}))
        } else {
            let auth = STANDARD.encode(format!("{username}:{password}"));
            (Keeper::File(self.path.clone()), json!({ "auth": auth }))
        };
        self.change(|text| edit::with_entry(text, key, &entry))?;
        Ok(keeper)
    }

    /// Removes a registry's login; false if there was none.
    pub fn erase(&self, registry: &str) -> Result<bool, AuthError> {
        let config = self.config()?;
        let mut found = false;
        if let Some(name) = config.helper(registry)
            && helper::get(name, server_key(registry))?.is_some()
        {
            helper::erase(name, server_key(registry))?;
            found = true;
        }
        if config.has_entry(registry) {
            self.change(|text| edit::without_entries(text, |key| is_same_host(key, registry)))?;
            found = true;
        }
        Ok(found)
    }

    fn config(&self) -> Result<DockerConfig, AuthError> {
        DockerConfig::load(&self.path)
    }

    /// Replaces the file by what `edit` makes of it.
    fn change(&self, edit: impl FnOnce(&[u8]) -> Result<String, serde_json::Error>) -> Result<(), AuthError> {
        let cannot_write = |source| AuthError::ConfigWrite { path: self.path.clone(), source };
        let target = match std::fs::canonicalize(&self.path) {
            // A file that is linked from elsewhere (dotfiles in a repository) is replaced there.
            Ok(target) => target,
            Err(error) if error.kind() == ErrorKind::NotFound => self.path.clone(),
            Err(error) => return Err(cannot_write(error)),
        };
        let directory = target.parent().filter(|parent| !parent.as_os_str().is_empty());
        let directory = directory.unwrap_or(Path::new("."));
        let _lock = prepare(directory).map_err(cannot_write)?;
        let text = match std::fs::read(&target) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            Err(source) => return Err(AuthError::ConfigRead { path: self.path.clone(), source }),
        };
        let text =
            edit(&text).map_err(|source| AuthError::ConfigParse { path: self.path.clone(), source })?;
        replace(directory, &target, text.as_bytes()).map_err(cannot_write)
    }
}

/// Makes the directory if it is missing, and locks it for as long as the result lives.
fn prepare(directory: &Path) -> io::Result<File> {
    DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(directory)?;
    let handle = File::open(directory)?;
    match handle.lock() {
        Err(error) if error.kind() == ErrorKind::Interrupted => Err(error),
        // Some network file systems lock no directories. There two logins at the same moment can lose one of them,
        // which is better than to refuse them all.
        _ => Ok(handle),
    }
}

/// Puts a file that only its owner can read in the place of another.
fn replace(directory: &Path, target: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = tempfile::Builder::new().prefix(".config.json.").tempfile_in(directory)?;
    file.write_all(content)?;
    match std::fs::metadata(target) {
        Ok(old) => {
            let new = file.as_file().metadata()?;
            // Root who logs in with a user's HOME must not take the file away from the user.
            if (old.uid(), old.gid()) != (new.uid(), new.gid()) {
                fchown(file.as_file(), Some(old.uid()), Some(old.gid()))?;
            }
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    file.as_file().sync_all()?;
    file.persist(target)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn at(dir: &tempfile::TempDir) -> (StoredLogins, PathBuf) {
        let path = dir.path().join("docker").join("config.json");
        (StoredLogins::at(&path), path)
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    fn login(username: &str, password: &str) -> Login {
        Login::Basic { username: username.into(), password: password.into() }
    }

    #[test]
    fn a_login_comes_and_goes() {
        let dir = tempfile::tempdir().unwrap();
        let (logins, path) = at(&dir);
        assert_eq!(logins.find("r").unwrap(), None);
        assert!(!logins.erase("r").unwrap());
        assert!(!path.exists(), "nothing was written");
        for registry in ["docker.io", "r:5000"] {
            let keeper = logins.store(registry, "me", "p:w ä").unwrap();
            assert_eq!(keeper, Keeper::File(path.clone()));
            assert_eq!(logins.find(registry).unwrap(), Some(login("me", "p:w ä")));
        }
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        let file: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let keys: Vec<_> = file["auths"].as_object().unwrap().keys().cloned().collect();
        assert_eq!(keys, ["https://index.docker.io/v1/", "r:5000"]);

        logins.store("r:5000", "me", "other").unwrap();
        assert_eq!(logins.find("r:5000").unwrap(), Some(login("me", "other")));
        assert!(logins.erase("r:5000").unwrap());
        assert!(!logins.erase("r:5000").unwrap());
        assert_eq!(logins.find("r:5000").unwrap(), None);
        assert!(logins.find("docker.io").unwrap().is_some());
        let names: Vec<_> =
            fs::read_dir(path.parent().unwrap()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, ["config.json"], "nothing is left beside the file");
    }

    #[test]
    fn every_spelling_of_a_registry_goes() {
        let dir = tempfile::tempdir().unwrap();
        let (logins, path) = at(&dir);
        fs::create_dir(path.parent().unwrap()).unwrap();
        let entry = r#"{"auth":"bWU6cHc="}"#;
        let text =
            format!(r#"{{"auths":{{"https://r/v2/":{entry},"r":{entry},"http://r":{entry},"rr":{entry}}}}}"#);
        fs::write(&path, text).unwrap();
        assert!(logins.erase("r").unwrap());
        assert_eq!((logins.find("r").unwrap(), logins.find("rr").unwrap()), (None, Some(login("me", "pw"))));
    }

    #[test]
    fn a_damaged_entry_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let (logins, path) = at(&dir);
        fs::create_dir(path.parent().unwrap()).unwrap();
        fs::write(&path, r#"{"auths":{"r":{"auth":"%%%"}}}"#).unwrap();
        assert!(matches!(logins.find("r"), Err(AuthError::ConfigEntry { .. })));
        logins.check().unwrap();
        logins.store("r", "me", "pw").unwrap();
        assert_eq!(logins.find("r").unwrap(), Some(login("me", "pw")));
    }

    #[test]
    fn a_link_stays_one_and_an_open_file_is_closed() {
        let dir = tempfile::tempdir().unwrap();
        let (logins, path) = at(&dir);
        fs::create_dir(path.parent().unwrap()).unwrap();
        let elsewhere = dir.path().join("dotfile");
        fs::write(&elsewhere, r#"{"detachKeys":"x"}"#).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
        logins.store("r", "me", "pw").unwrap();
        assert!(path.is_symlink());
        assert_eq!(mode(&elsewhere), 0o600);
        let text = fs::read_to_string(&elsewhere).unwrap();
        assert!(text.contains("\"detachKeys\": \"x\"") && text.contains("bWU6cHc="), "{text}");
    }

    #[test]
    fn a_damaged_file_is_named_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (logins, path) = at(&dir);
        fs::create_dir(path.parent().unwrap()).unwrap();
        fs::write(&path, "{").unwrap();
        let error = logins.store("r", "me", "pw").unwrap_err();
        assert!(matches!(&error, AuthError::ConfigParse { path: named, .. } if *named == path), "{error:?}");
        assert!(logins.erase("r").is_err());
        assert_eq!(fs::read(&path).unwrap(), b"{");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(logins.store("r", "me", "pw").unwrap_err().to_string().contains("config.json"));
    }

    #[test]
    fn logins_at_the_same_time_are_all_kept() {
        let dir = tempfile::tempdir().unwrap();
        let (logins, _) = at(&dir);
        let registries: Vec<_> = (0..16).map(|number| format!("r{number}")).collect();
        std::thread::scope(|scope| {
            for registry in &registries {
                scope.spawn(|| logins.store(registry, "me", registry).unwrap());
            }
        });
        for registry in &registries {
            assert_eq!(logins.find(registry).unwrap(), Some(login("me", registry)));
        }
    }
}
