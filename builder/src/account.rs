//! The account of a build: what became of each step and why, kept so that it can be asked for afterwards.
//!
//! Plain data, written at the end of every build as a JSON document: one a project, read by whoever shows it, and one for each
//! platform of it, read by the next build for that, which finds in it what an edited instruction was before.

use jiff::Timestamp;
use kiln_cache::{DiffId, Key, KeyBuilder, Store};
use serde::{Deserialize, Serialize};

use crate::error::BuildError;

/// What a build did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildAccount {
    /// Which Dockerfile it was: its path, or what else the build was told to go by, without credentials.
    pub project: String,
    /// The platform that the image is for.
    #[serde(default)]
    pub platform: String,
    /// When it began.
    pub began: Timestamp,
    /// How long it took, until the target was there.
    pub milliseconds: u64,
    /// Whether the target was made.
    pub succeeded: bool,
    /// The steps that the target needs, in the order of the Dockerfile.
    pub steps: Vec<StepAccount>,
    /// Where the results are of the stages that an earlier build needed and this one did not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub elsewhere: Vec<Trace>,
}

/// What became of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepAccount {
    /// Its name (`[build 2/4] RUN make`).
    pub name: String,
    /// The stage that it is in.
    pub stage: String,
    /// What became of it.
    pub outcome: StepOutcome,
    /// How long the execution took that made the result: in this build, or in the one that the cache remembers.
    pub milliseconds: Option<u64>,
    /// When the result was made.
    pub created: Option<Timestamp>,
    /// The layer that it added.
    pub layer: Option<DiffId>,
    /// Bytes of that layer, uncompressed.
    pub size: Option<u64>,
    /// Why the cache had no answer, in one line.
    pub reason: Option<String>,
    /// What its inputs come to; `None` where it was not reached.
    pub key: Option<Key>,
    /// What differs from the result that it was compared with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
    /// How many further differences there are.
    #[serde(default)]
    pub more_changes: usize,
    /// The result that it was compared with.
    pub previous: Option<Previous>,
    /// The key of its last result: its own, or else that of the step that it was before.
    pub last: Option<Key>,
}

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepOutcome {
    /// The cache of this store had its result.
    Cached,
    /// A shared cache had its result.
    Imported,
    /// It was executed.
    Executed,
    /// It was executed, and failed or was stopped.
    Failed,
    /// It would have had to be executed, which was not allowed.
    Refused,
    /// The build ended before it.
    NotReached,
}

/// An earlier result of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Previous {
    /// Its key.
    pub key: Key,
    /// When it was made.
    pub created: Timestamp,
    /// How long that took.
    pub milliseconds: u64,
}

/// One difference between what a step is made from now and what it was made from before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// What it is about.
    pub about: About,
    /// What exactly: `VERSION`, `src/main.rs`.
    pub subject: String,
    /// What it was; `None` if there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// What it is; `None` if there is none any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// All that in plain words.
    pub text: String,
}

/// What a change is about, in the order in which changes are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum About {
    /// The instruction's own words.
    Instruction,
    /// A build argument or a variable.
    Variable,
    /// A file that is copied or mounted.
    File,
    /// Another setting: user, directory, network, platform, a mount.
    Setting,
    /// What the step is built on.
    Base,
}

/// Where the result of a step is that this build did not need.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    /// The stage that it is in.
    pub stage: String,
    /// The instruction (`RUN make`).
    pub instruction: String,
    /// The key of its last result.
    pub last: Key,
}

impl BuildAccount {
    /// The account of a project's last build. One that cannot be read (another version wrote it) is none.
    pub fn load(store: &Store, project: &str) -> Result<Option<Self>, BuildError> {
        Self::named(store, project, &name(project, None))
    }

    /// The account of a project's last build for a platform.
    pub(crate) fn load_for(store: &Store, project: &str, platform: &str) -> Result<Option<Self>, BuildError> {
        Self::named(store, project, &name(project, Some(platform)))
    }

    fn named(store: &Store, project: &str, name: &Key) -> Result<Option<Self>, BuildError> {
        let text = store.builds().get(name).map_err(kiln_cache::StoreError::from)?;
        let account: Option<Self> = text.and_then(|text| serde_json::from_slice(&text).ok());
        Ok(account.filter(|account| account.project == kiln_graph::redact(project)))
    }

    /// Keeps the account in place of the project's last one, and of the last one for its platform.
    pub(crate) fn save(&self, store: &Store, project: &str) -> Result<(), BuildError> {
        let text = serde_json::to_vec(self).map_err(|error| BuildError::Plan {
            detail: format!("its account cannot be written: {error}"),
        })?;
        for name in [name(project, None), name(project, Some(&self.platform))] {
            store.builds().put(&name, &text).map_err(kiln_cache::StoreError::from)?;
        }
        Ok(())
    }
}

impl StepAccount {
    /// The instruction without the step's number (`RUN make`).
    pub fn instruction(&self) -> &str {
        instruction(&self.name)
    }
}

/// A step's name without the place in front of it, which moves when instructions are added.
pub(crate) fn instruction(name: &str) -> &str {
    name.split_once("] ").map_or(name, |(_, text)| text)
}

fn name(project: &str, platform: Option<&str>) -> Key {
    let name = KeyBuilder::new("build").part("project", project);
    platform.into_iter().fold(name, |name, platform| name.part("platform", platform)).finish().0
}
