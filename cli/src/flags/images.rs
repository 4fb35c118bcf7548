//! Flags of the commands that look at and change what the store holds.
//!
//! What they mean is decided in the files of the same names under [`crate::commands`].

use clap::Args;

/// `kiln images [OPTIONS] [REPOSITORY[:TAG]]`.
#[derive(Debug, Clone, Default, Args)]
pub struct ImagesFlags {
    /// Only show image IDs
    #[arg(short, long)]
    pub quiet: bool,
    /// Show all images, untagged ones too
    #[arg(short, long)]
    pub all: bool,
    /// Show digests
    #[arg(long)]
    pub digests: bool,
    /// Don't truncate output
    #[arg(long)]
    pub no_trunc: bool,
    /// Format output: table, json, or a template such as '{{.Repository}}:{{.Tag}}'
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Only images of this repository, or of this one name
    #[arg(value_name = "REPOSITORY[:TAG]")]
    pub name: Option<String>,
}

/// `kiln rmi [OPTIONS] IMAGE [IMAGE...]`.
#[derive(Debug, Clone, Default, Args)]
pub struct RemoveFlags {
    /// Remove an image that has several names, and do not complain about missing ones
    #[arg(short, long)]
    pub force: bool,
    /// Accepted for old scripts: layers that nothing needs go with `prune`
    #[arg(long, hide = true)]
    pub no_prune: bool,
    /// Names, IDs or beginnings of IDs
    #[arg(value_name = "IMAGE", required = true)]
    pub images: Vec<String>,
}

/// `kiln tag SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]`.
#[derive(Debug, Clone, Args)]
pub struct TagFlags {
    /// Name, ID or beginning of an ID of an image in the store
    #[arg(value_name = "SOURCE_IMAGE[:TAG]")]
    pub source: String,
    /// The name to give it
    #[arg(value_name = "TARGET_IMAGE[:TAG]")]
    pub target: String,
}

/// `kiln inspect [OPTIONS] IMAGE [IMAGE...]`.
#[derive(Debug, Clone, Args)]
pub struct InspectFlags {
    /// Format output: json, or a template such as '{{json .Config}}' or '{{.Config.User}}'
    #[arg(short, long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Kind of object; images are the only one there is
    #[arg(long = "type", value_name = "TYPE", value_parser = ["image"], hide = true)]
    pub kind: Option<String>,
    /// Names, IDs or beginnings of IDs
    #[arg(value_name = "IMAGE", required = true)]
    pub images: Vec<String>,
}

/// `kiln history [OPTIONS] IMAGE`.
#[derive(Debug, Clone, Args)]
pub struct HistoryFlags {
    /// Format output: table, json, or a template such as '{{.CreatedBy}}'
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Print sizes and dates in human readable format
    #[arg(short = 'H', long, default_value = "true", action = clap::ArgAction::Set, num_args = 0..=1,
          require_equals = true, default_missing_value = "true", value_name = "BOOL", hide_possible_values = true)]
    pub human: bool,
    /// Don't truncate output
    #[arg(long)]
    pub no_trunc: bool,
    /// Only show image IDs
    #[arg(short, long)]
    pub quiet: bool,
    /// Name, ID or beginning of an ID
    #[arg(value_name = "IMAGE")]
    pub image: String,
}

/// `kiln version [OPTIONS]`.
#[derive(Debug, Clone, Default, Args)]
pub struct VersionFlags {
    /// Format output: json, or a template such as '{{.Version}}'
    #[arg(short, long, value_name = "FORMAT")]
    pub format: Option<String>,
}
