//! Flags of `kiln why`.
//!
//! What they mean is decided in `crate::commands::why`.

use std::path::PathBuf;

use clap::Args;

use super::call::AnswerFormat;

/// `kiln why [OPTIONS] [STEP]`.
#[derive(Debug, Clone, Default, Args)]
pub struct WhyFlags {
    /// Name of the Dockerfile whose last build is meant (default: "Dockerfile" in the current directory)
    #[arg(short, long, value_name = "FILE", conflicts_with = "project")]
    pub file: Option<PathBuf>,
    /// The build context from elsewhere (a URL) whose last build is meant, as it was given to the build
    #[arg(long, value_name = "NAME")]
    pub project: Option<String>,
    /// Format output: text or json
    #[arg(long, value_name = "FORMAT", value_enum, hide_possible_values = true)]
    pub format: Option<AnswerFormat>,
    /// A step: its number ("3", "build:3"), or a part of its instruction; without it, all steps
    #[arg(value_name = "STEP")]
    pub step: Option<String>,
}
