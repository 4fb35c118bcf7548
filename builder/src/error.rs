//! Why a build failed.

use std::path::PathBuf;

use kiln_cache::StoreError;
use kiln_graph::{Entitlement, Location, VertexId};
use kiln_sandbox::SandboxError;

use crate::content::select::{Place, SelectError};
use crate::content::{Missing, TreeError};
use crate::device::DeviceError;
use crate::fetch::FetchError;
use crate::source::SourceError;
use crate::step::file::FileError;
use crate::step::mounts::MountError;
use crate::step::user::UserError;

/// A build that has no image.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A step failed.
    #[error("{name}: {cause}")]
    Step {
        /// Which vertex of the plan.
        vertex: VertexId,
        /// The step's name as shown.
        name: String,
        /// Where it was written.
        location: Option<Location>,
        /// The last lines that its command wrote.
        log: Vec<Vec<u8>>,
        /// What went wrong.
        #[source]
        cause: Box<StepError>,
    },
    /// The plan names a context that was not given.
    #[error("no context named `{name}` was given to the build")]
    NoContext {
        /// Its name.
        name: String,
    },
    /// A context cannot be used.
    #[error("cannot use {path} as a build context", path = path.display())]
    Context {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<TreeError>,
    },
    /// The plan is not one: a vertex names an input that is no file system, or none at all.
    #[error("the build plan is malformed: {detail}")]
    Plan {
        /// What is wrong.
        detail: String,
    },
    /// Steps that had to be cached are not.
    #[error("{count} of the steps that must be cached would have to be executed", count = steps.len())]
    NotCached {
        /// Those that would, and those that follow from them, in the order of the Dockerfile.
        steps: Vec<NotCached>,
    },
    /// The store failed outside any step.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The build was stopped.
    #[error("the build was cancelled")]
    Cancelled,
}

/// A step that had to be cached and is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotCached {
    /// Its name as shown.
    pub name: String,
    /// Why the cache has no answer; `None` where that depends on the result of another such step.
    pub reason: Option<String>,
}

/// Why one step failed.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The command ended with an exit code other than 0.
    #[error("the command exited with code {code}")]
    Exited {
        /// The code.
        code: i32,
    },
    /// The command was killed by a signal.
    #[error("the command was killed by signal {signal}")]
    Killed {
        /// The signal's number.
        signal: i32,
    },
    /// The step would have to be executed, which was not allowed.
    #[error("not cached: {reason}")]
    NotCached {
        /// Why the cache has no answer.
        reason: String,
    },
    /// The command could not be started.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// A file step failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// A mount of a command could not be prepared.
    #[error(transparent)]
    Mount(#[from] MountError),
    /// The step asks for what the build was not granted.
    #[error("the command needs the entitlement {needed}")]
    NotEntitled {
        /// What it asks for.
        needed: Entitlement,
    },
    /// A device of a command cannot be had.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The user of a command is unknown.
    #[error(transparent)]
    User(#[from] UserError),
    /// An image or one of its layers could not be had.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// A file or a repository from elsewhere could not be had.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The output of the command could not be read.
    #[error("cannot read the command's output")]
    Output {
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// An input of the step is not a file system.
    #[error("the build plan is malformed: {detail}")]
    Plan {
        /// What is wrong.
        detail: String,
    },
    /// The build was stopped while the step ran.
    #[error("cancelled")]
    Cancelled,
    /// A part of the builder stopped without an answer.
    #[error("an internal task of the builder ended without a result")]
    Lost,
}

crate::causes::store_causes!(BuildError);
crate::causes::store_causes!(StepError);

impl BuildError {
    /// Where in the frontend's text the failure belongs.
    pub fn location(&self) -> Option<&Location> {
        match self {
            Self::Step { location, .. } => location.as_ref(),
            _ => None,
        }
    }

    /// What the user can do about it, where that can be said.
    pub fn hint(&self) -> Option<String> {
        let Self::Step { cause, .. } = self else { return None };
        match &**cause {
            StepError::File(FileError::Select(SelectError::NotFound { missing, similar, place, .. })) => {
                match missing {
                    Missing::Ignored { pattern, .. } => {
                        Some(format!("it exists, but the .dockerignore pattern `{pattern}` leaves it out"))
                    }
                    Missing::Link { target } => {
                        Some(format!("it is a symbolic link to `{}`, which is not {place}", target.display()))
                    }
                    Missing::Absent => similar.as_ref().map(|name| format!("did you mean `{name}`?")),
                }
            }
            StepError::Mount(MountError::NoSecret { id, given }) => {
                let given = match given.as_slice() {
                    [] => String::new(),
                    ids => format!("; what was given is `{}`", ids.join("`, `")),
                };
                Some(format!(
                    "give it with `--secret id={id},src=FILE` or `--secret id={id},env=NAME`{given}"
                ))
            }
            StepError::Mount(MountError::NoAgent { id }) => Some(format!("give it with `--ssh {id}`")),
            StepError::NotEntitled { needed } => Some(format!("grant it with `--allow {needed}`")),
            StepError::Device(error) => error.hint(),
            StepError::Fetch(error) => error.hint(),
            StepError::Source(error) => error.hint(),
            other => crate::hint::of_step(other),
        }
    }

    /// What a copy asks for as it is written in the graph, and where it is not, if that is why the build failed.
    pub fn missing_source(&self) -> Option<(&str, &Place)> {
        let Self::Step { cause, .. } = self else { return None };
        match &**cause {
            StepError::File(FileError::Select(SelectError::NotFound { pattern, place, .. })) => {
                Some((pattern, place))
            }
            _ => None,
        }
    }

    /// The context that does not have what a copy asks for, and the number of its ignore pattern that leaves it out, if
    /// that is why the build failed.
    pub fn ignored_by(&self) -> Option<(&Place, usize)> {
        let Self::Step { cause, .. } = self else { return None };
        match &**cause {
            StepError::File(FileError::Select(SelectError::NotFound {
                missing: Missing::Ignored { rule, .. },
                place,
                ..
            })) => Some((place, *rule)),
            _ => None,
        }
    }

    /// True when the step was stopped or refused rather than failed.
    pub(crate) fn is_no_failure(&self) -> bool {
        let refused =
            matches!(self, Self::Step { cause, .. } if matches!(**cause, StepError::NotCached { .. }));
        refused || self.is_cancelled()
    }

    /// True when the build was stopped rather than failed.
    pub fn is_cancelled(&self) -> bool {
        match self {
            Self::Cancelled => true,
            Self::Step { cause, .. } => matches!(**cause, StepError::Cancelled),
            _ => false,
        }
    }
}
