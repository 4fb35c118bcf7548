//! Flags of the commands that move images: `pull`, `push`, `save`, `load`.
//!
//! What they mean is decided in the files of the same names under [`crate::commands`].

use std::path::PathBuf;

use clap::Args;

/// `kiln pull [OPTIONS] NAME[:TAG|@DIGEST]`.
#[derive(Debug, Clone, Args)]
pub struct PullFlags {
    /// Platform of the image, if the registry has several
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub platform: Option<String>,
    /// Suppress verbose output
    #[arg(short, long)]
    pub quiet: bool,
    /// What to download
    #[arg(value_name = "NAME[:TAG|@DIGEST]")]
    pub image: String,
}

/// `kiln push [OPTIONS] NAME[:TAG]`.
#[derive(Debug, Clone, Args)]
pub struct PushFlags {
    /// Suppress verbose output
    #[arg(short, long)]
    pub quiet: bool,
    /// What to upload, under its own name
    #[arg(value_name = "NAME[:TAG]")]
    pub image: String,
}

/// `kiln save [OPTIONS] IMAGE [IMAGE...]`.
#[derive(Debug, Clone, Args)]
pub struct SaveFlags {
    /// Write to a file, instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Archive format: docker (for `docker load`) or oci
    #[arg(long, value_name = "FORMAT", default_value = "docker", value_parser = ["docker", "oci"], hide_possible_values = true)]
    pub format: String,
    /// Images to save
    #[arg(value_name = "IMAGE", required = true)]
    pub images: Vec<String>,
}

/// `kiln load [OPTIONS]`.
#[derive(Debug, Clone, Args)]
pub struct LoadFlags {
    /// Read from a tar archive or an OCI layout directory, instead of standard input
    #[arg(short, long, value_name = "FILE")]
    pub input: Option<PathBuf>,
    /// Suppress the load output
    #[arg(short, long)]
    pub quiet: bool,
}
