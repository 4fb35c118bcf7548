//! Flags of `kiln run`.
//!
//! What they mean is decided in `crate::commands::run`.

use std::path::PathBuf;

use clap::Args;

use super::limits::LimitFlags;

/// `kiln run [OPTIONS] IMAGE [COMMAND] [ARG...]`.
#[derive(Debug, Clone, Default, Args)]
#[command(disable_help_flag = true, override_usage = "kiln run [OPTIONS] IMAGE [COMMAND] [ARG...]")]
pub struct RunFlags {
    /// Remove the container when it exits (what happens anyway)
    #[arg(long)]
    pub rm: bool,
    /// Set environment variables; `NAME` alone takes the value from the environment
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    pub env: Vec<String>,
    /// Read in a file of environment variables
    #[arg(long = "env-file", value_name = "FILE")]
    pub env_files: Vec<PathBuf>,
    /// Bind mount a directory or file
    #[arg(short, long = "volume", value_name = "SOURCE:TARGET[:ro]")]
    pub volumes: Vec<String>,
    /// Working directory inside the container
    #[arg(short, long, value_name = "DIR")]
    pub workdir: Option<String>,
    /// Username or UID (format: "name|uid[:group|gid]")
    #[arg(short, long, value_name = "USER")]
    pub user: Option<String>,
    /// Overwrite the default ENTRYPOINT of the image; empty for none
    #[arg(long, value_name = "COMMAND")]
    pub entrypoint: Option<String>,
    /// Connect the container to a network: host (the default) or none
    #[arg(long, visible_alias = "net", value_name = "MODE")]
    pub network: Option<String>,
    /// What the command may use.
    #[command(flatten)]
    pub limits: LimitFlags,
    /// Keep standard input open
    #[arg(short, long)]
    pub interactive: bool,
    /// Allocate a pseudo-TTY
    #[arg(short, long)]
    pub tty: bool,
    /// Pull the image before running: always, missing or never
    #[arg(long, value_name = "POLICY", default_value = "missing", value_parser = ["always", "missing", "never"], hide_possible_values = true)]
    pub pull: String,
    /// Suppress the pull output
    #[arg(short, long)]
    pub quiet: bool,
    /// Platform of the image
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub platform: Option<String>,
    /// Accepted for old scripts: containers have no name once they are gone
    #[arg(long, value_name = "NAME", hide = true)]
    pub name: Option<String>,
    /// Print help
    #[arg(long, action = clap::ArgAction::Help)]
    pub help: Option<bool>,
    /// Image, then the command and its arguments
    #[arg(value_name = "IMAGE [COMMAND] [ARG...]", hide = true, required = true, trailing_var_arg = true, num_args = 1..)]
    pub image_and_command: Vec<String>,
}
