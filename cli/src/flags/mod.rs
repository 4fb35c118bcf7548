//! The command line as typed flags: what was written, before the world is looked at.
//!
//! Names, defaults and meanings are docker's, so that `alias docker=kiln` keeps scripts working; each
//! command has its own file. What a flag means once the environment and the store are known is decided in
//! [`crate::commands`]. Called by `main`; reads nothing but its arguments.

pub mod accepted;
pub mod amount;
pub mod attest;
pub mod boolean;
pub mod build;
pub mod builders;
pub mod cache;
pub mod call;
pub mod contexts;
pub mod credentials;
pub mod hosts;
pub mod images;
pub mod jobs;
pub mod limits;
pub mod login;
pub mod output;
pub mod run;
pub mod serve;
pub mod storage;
pub mod transfer;
pub mod unsupported;
pub mod why;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use build::BuildFlags;
use builders::{CreateFlags, InfoFlags, NameFlags};
use images::{HistoryFlags, ImagesFlags, InspectFlags, RemoveFlags, TagFlags, VersionFlags};
use login::{LoginFlags, LogoutFlags};
use run::RunFlags;
use serve::{DaemonLine, ServeFlags};
use storage::{CacheCommand, DiskUsageFlags, PruneFlags, SummaryFlags};
use transfer::{LoadFlags, PullFlags, PushFlags, SaveFlags};
use why::WhyFlags;

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "kiln",
    version,
    about = "Builds images from Dockerfiles, keeps every step in a content-addressed cache, and runs the result",
    args_override_self = true,
    after_help = "Exit codes: 0 success, 1 the build or command failed, 2 wrong usage, 3 a step is not cached \
                  (--require-cached), 128+n stopped by signal n (130: Ctrl-C).\n\
                  `kiln run` gives the exit code of the process; 125 kiln itself failed, 126 not executable, \
                  127 not found, 128+n killed by signal n."
)]
pub struct Cli {
    /// Flags that every command takes.
    #[command(flatten)]
    pub global: GlobalFlags,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags that every command takes.
#[derive(Debug, Clone, Default, Args)]
pub struct GlobalFlags {
    /// Directory of the store (images, layers, cache); also KILN_ROOT
    #[arg(long, global = true, value_name = "DIR", help_heading = "Global options")]
    pub root: Option<PathBuf>,
    /// Directory of docker's client configuration (config.json); also DOCKER_CONFIG
    #[arg(long, global = true, value_name = "DIR", help_heading = "Global options")]
    pub config: Option<PathBuf>,
    /// Registry host that may be spoken to over plain HTTP or with a certificate nobody vouches for
    #[arg(long, global = true, value_name = "HOST", help_heading = "Global options")]
    pub insecure_registry: Vec<String>,
    /// Remove what was used least recently while the store takes more than this (10GB); also KILN_KEEP_STORAGE
    #[arg(
        long,
        global = true,
        value_name = "SIZE",
        alias = "max-used-space",
        help_heading = "Global options"
    )]
    pub keep_storage: Option<String>,
}

/// The commands, under their short names and under docker's groups. One value a process: its size is of no account.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Build an image from a Dockerfile
    #[command(visible_alias = "b")]
    Build(BuildFlags),
    /// Run a command in a new container made from an image
    Run(RunFlags),
    /// Download an image from a registry
    Pull(PullFlags),
    /// Upload an image to a registry
    Push(PushFlags),
    /// Log in to a registry
    Login(LoginFlags),
    /// Log out from a registry
    Logout(LogoutFlags),
    /// Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE
    Tag(TagFlags),
    /// List images
    Images(ImagesFlags),
    /// Remove one or more images
    Rmi(RemoveFlags),
    /// Save one or more images to a tar archive
    Save(SaveFlags),
    /// Load images from a tar archive
    Load(LoadFlags),
    /// Show low-level information on images
    Inspect(InspectFlags),
    /// Show the history of an image
    History(HistoryFlags),
    /// Tell what the last build of a Dockerfile did, and why
    Why(WhyFlags),
    /// Remove what no image and no build needs
    Prune(PruneFlags),
    /// Show what takes how much room in the store
    Du(DiskUsageFlags),
    /// Manage cache mounts: list, remove, export, import
    #[command(subcommand)]
    Cache(CacheCommand),
    /// Serve BuildKit's clients (buildctl, docker buildx)
    Serve(ServeFlags),
    /// Show the version
    Version(VersionFlags),
    /// Show what the store and this machine are like
    Info(InfoFlags),
    /// Manage images
    #[command(subcommand)]
    Image(ImageCommand),
    /// Manage the build cache
    #[command(subcommand, alias = "buildx")]
    Builder(BuilderCommand),
    /// Manage the store
    #[command(subcommand)]
    System(SystemCommand),
    /// Manage containers
    #[command(subcommand)]
    Container(ContainerCommand),
}

/// `kiln image …`, as docker groups them.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Subcommand)]
pub enum ImageCommand {
    /// Build an image from a Dockerfile
    Build(BuildFlags),
    /// Show the history of an image
    History(HistoryFlags),
    /// Show low-level information on images
    Inspect(InspectFlags),
    /// Load images from a tar archive
    Load(LoadFlags),
    /// List images
    #[command(visible_alias = "list")]
    Ls(ImagesFlags),
    /// Remove unused images
    Prune(PruneFlags),
    /// Download an image from a registry
    Pull(PullFlags),
    /// Upload an image to a registry
    Push(PushFlags),
    /// Remove one or more images
    #[command(visible_alias = "remove")]
    Rm(RemoveFlags),
    /// Save one or more images to a tar archive
    Save(SaveFlags),
    /// Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE
    Tag(TagFlags),
}

/// `kiln builder …` and `kiln buildx …`.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Subcommand)]
pub enum BuilderCommand {
    /// Build an image from a Dockerfile
    #[command(visible_alias = "b")]
    Build(BuildFlags),
    /// Show what takes how much room in the store
    Du(DiskUsageFlags),
    /// Remove build cache
    Prune(PruneFlags),
    /// Accepted for scripts: there is one builder
    Create(CreateFlags),
    /// Accepted for scripts: there is one builder
    Use(NameFlags),
    /// Accepted for scripts: there is one builder
    Rm(NameFlags),
    /// List builders: there is one
    Ls,
    /// Show what the builder is like
    Inspect(NameFlags),
    /// Show the version
    Version,
}

/// `kiln system …`.
#[derive(Debug, Subcommand)]
pub enum SystemCommand {
    /// Show how much images, build cache and cache mounts take
    Df(SummaryFlags),
    /// Show what the store and this machine are like
    Info(InfoFlags),
    /// Remove what no image and no build needs
    Prune(PruneFlags),
}

/// `kiln container …`.
#[derive(Debug, Subcommand)]
pub enum ContainerCommand {
    /// Run a command in a new container made from an image
    Run(RunFlags),
}

impl Command {
    /// The same request under its short name: docker's groups are only other spellings.
    pub fn ungrouped(self) -> Self {
        match self {
            Self::Image(command) => command.ungrouped(),
            Self::Builder(BuilderCommand::Build(flags)) => Self::Build(flags),
            Self::Builder(BuilderCommand::Du(flags)) => Self::Du(flags),
            Self::Builder(BuilderCommand::Prune(flags)) | Self::System(SystemCommand::Prune(flags)) => {
                Self::Prune(flags)
            }
            Self::System(SystemCommand::Info(flags)) => Self::Info(flags),
            Self::Container(ContainerCommand::Run(flags)) => Self::Run(flags),
            other => other,
        }
    }
}

impl ImageCommand {
    fn ungrouped(self) -> Command {
        match self {
            Self::Build(flags) => Command::Build(flags),
            Self::History(flags) => Command::History(flags),
            Self::Inspect(flags) => Command::Inspect(flags),
            Self::Load(flags) => Command::Load(flags),
            Self::Ls(flags) => Command::Images(flags),
            Self::Prune(flags) => Command::Prune(flags),
            Self::Pull(flags) => Command::Pull(flags),
            Self::Push(flags) => Command::Push(flags),
            Self::Rm(flags) => Command::Rmi(flags),
            Self::Save(flags) => Command::Save(flags),
            Self::Tag(flags) => Command::Tag(flags),
        }
    }
}

/// What came out of reading the command line when it is not a command to perform.
#[derive(Debug)]
pub enum Stop {
    /// Help or version was asked for: print it to standard output and succeed.
    Show(String),
    /// The command line is wrong.
    Usage {
        /// One line that names what is wrong.
        message: String,
        /// What to write instead.
        hint: Option<String>,
        /// True when the command was `run`, whose own failures have an exit code of their own.
        run: bool,
    },
}

/// Reads the arguments, program name first.
pub fn parse(args: &[OsString]) -> Result<Cli, Stop> {
    let program = args.first().map(Path::new).and_then(Path::file_name);
    if program.is_some_and(|name| name == serve::DAEMON) {
        return daemon(args);
    }
    let mut command = boolean::with_go_booleans(Cli::command());
    let matches = command.try_get_matches_from_mut(args).map_err(|error| stop(&error, args))?;
    let mut cli = Cli::from_arg_matches(&matches).map_err(|error| stop(&error, args))?;
    cli.command = cli.command.ungrouped();
    Ok(cli)
}

/// The line of a binary that is called as BuildKit's daemon.
fn daemon(args: &[OsString]) -> Result<Cli, Stop> {
    let read = || {
        let matches = boolean::with_go_booleans(DaemonLine::command()).try_get_matches_from_mut(args)?;
        DaemonLine::from_arg_matches(&matches)
    };
    let line = read().map_err(|error| {
        if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
            return Stop::Show(error.render().to_string());
        }
        let (message, hint) = split_rendered(&error.render().to_string());
        let hint = hint.or_else(|| Some("`buildkitd --help` shows how it is used".to_owned()));
        Stop::Usage { message, hint, run: false }
    })?;
    let DaemonLine { root, config, serve } = line;
    Ok(Cli {
        global: GlobalFlags { root, config, ..GlobalFlags::default() },
        command: Command::Serve(ServeFlags { as_buildkitd: true, ..serve }),
    })
}

/// The command words of the line: `["image", "ls"]`. Values of global flags may be among them, which
/// is harmless for what the result is used for: choosing words of an error message.
fn command_words(args: &[OsString]) -> Vec<&str> {
    let words = args.iter().skip(1).filter_map(|arg| arg.to_str());
    words.filter(|word| !word.is_empty() && !word.starts_with('-')).take(2).collect()
}

fn stop(error: &clap::Error, args: &[OsString]) -> Stop {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return Stop::Show(error.render().to_string());
    }
    let words = command_words(args);
    let run = words.first() == Some(&"run") || words == ["container", "run"];
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let hint = Some(see_help(&words));
        return Stop::Usage { message: "no command given".to_owned(), hint, run };
    }
    if error.kind() == ErrorKind::UnknownArgument
        && let Some(ContextValue::String(flag)) = error.get(ContextKind::InvalidArg)
        && let Some(message) = unsupported::explain(&words, flag)
    {
        let hint = Some("leave the flag out, or run `kiln COMMAND --help` for what there is".to_owned());
        return Stop::Usage { message, hint, run };
    }
    if error.kind() == ErrorKind::InvalidSubcommand
        && let Some(message) = unsupported::explain_command(&words)
    {
        return Stop::Usage { message, hint: Some("`kiln --help` shows what there is".to_owned()), run };
    }
    let (message, hint) = split_rendered(&error.render().to_string());
    Stop::Usage { message, hint: hint.or_else(|| Some(see_help(&words))), run }
}

fn see_help(words: &[&str]) -> String {
    let groups = ["image", "builder", "buildx", "system", "container", "cache"];
    let command =
        words.iter().take(if words.first().is_some_and(|word| groups.contains(word)) { 2 } else { 1 });
    let command: Vec<&str> = std::iter::once("kiln").chain(command.copied()).collect();
    format!("`{} --help` shows how it is used", command.join(" "))
}

/// Cuts clap's text into its first line and its tip; the usage block is left to `--help`.
fn split_rendered(text: &str) -> (String, Option<String>) {
    let mut message = Vec::new();
    let mut hint = None;
    for line in text.lines() {
        let line = line.trim();
        if let Some(tip) = line.strip_prefix("tip: ") {
            // Docker takes no flags as values: that tip leads astray.
            if !tip.starts_with("to pass") {
                hint.get_or_insert_with(|| tip.to_owned());
            }
        } else if line.starts_with("Usage:") || line.starts_with("For more information") {
            break;
        } else if !line.is_empty() {
            message.push(line.strip_prefix("error: ").unwrap_or(line));
        }
    }
    (message.join(" "), hint)
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
