//! Flags of `kiln build`.
//!
//! What they mean is decided in `crate::commands::build`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use kiln_graph::{Entitlements, GrantError};

use super::accepted::WithoutEffect;
use super::attest::{AnnotationSpec, AttestSpec, ProvenanceSpec};
use super::cache::{CacheFrom, CacheTo};
use super::call::{AnswerFormat, CallSpec, Question};
use super::contexts::ContextSpec;
use super::credentials::{AgentSpec, SecretSpec};
use super::hosts::HostSpec;
use super::limits::LimitFlags;
use super::output::OutputSpec;

/// `kiln build [OPTIONS] PATH`.
#[derive(Debug, Clone, Default, Args)]
pub struct BuildFlags {
    /// Name and optionally a tag (format: "name:tag"); may be given several times
    #[arg(short, long = "tag", value_name = "NAME")]
    pub tags: Vec<String>,
    /// Name of the Dockerfile, `-` for standard input (default: "PATH/Dockerfile")
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Set the target build stage to build
    #[arg(long, value_name = "STAGE")]
    pub target: Option<String>,
    /// Set build-time variables; `NAME` alone takes the value from the environment
    #[arg(long = "build-arg", value_name = "NAME[=VALUE]")]
    pub build_args: Vec<String>,
    /// Additional build context (format: "NAME=VALUE"): a directory, docker-image://REF, oci-layout://DIR:TAG, or
    /// the URL of a repository, a file or an archive; FROM, COPY --from, RUN --mount=from and stages of that name mean it
    #[arg(long = "build-context", value_name = "NAME=VALUE", value_parser = ContextSpec::parse)]
    pub contexts: Vec<ContextSpec>,
    /// Set metadata for an image
    #[arg(long = "label", value_name = "KEY[=VALUE]")]
    pub labels: Vec<String>,
    /// Secret for RUN --mount=type=secret (format: "id=ID[,src=FILE|env=NAME]"); it stays in no layer
    #[arg(long = "secret", value_name = "SPEC", value_parser = SecretSpec::parse)]
    pub secrets: Vec<SecretSpec>,
    /// SSH agent for RUN --mount=type=ssh and git (format: "default|ID[=SOCKET|KEY,…]"): that of SSH_AUTH_SOCK, one with another
    /// socket, or private keys
    #[arg(long = "ssh", value_name = "SPEC", value_parser = AgentSpec::parse)]
    pub agents: Vec<AgentSpec>,
    /// Shared cache to read (format: "REFERENCE" or "type=registry|local|s3|gha,KEY=VALUE,…"); may be given several times
    #[arg(long, value_name = "SPEC", value_parser = CacheFrom::parse)]
    pub cache_from: Vec<CacheFrom>,
    /// Shared cache to write (format: "REFERENCE" or "type=inline|registry|local|s3|gha,mode=min|max,KEY=VALUE,…")
    #[arg(long, value_name = "SPEC", value_parser = CacheTo::parse)]
    pub cache_to: Vec<CacheTo>,
    /// Do not use cache when building the image
    #[arg(long)]
    pub no_cache: bool,
    /// Do not use cache for these stages, and what is built from them
    #[arg(long, value_name = "STAGE", value_delimiter = ',')]
    pub no_cache_filter: Vec<String>,
    /// Execute nothing: end with exit code 3, and say why, if a step is not cached; `=STAGE[,STAGE]` asks it of these stages
    #[arg(long, value_name = "STAGE", num_args = 0..=1, require_equals = true, default_missing_value = "",
          value_delimiter = ',')]
    pub require_cached: Option<Vec<String>>,
    /// How many steps may be executed at the same time (default: KILN_JOBS, or the number of cores)
    #[arg(long, value_name = "N", value_parser = super::jobs::parse)]
    pub jobs: Option<usize>,
    /// Always attempt to pull all referenced images
    #[arg(long)]
    pub pull: bool,
    /// Networking mode of RUN: default, host or none
    #[arg(long, value_name = "MODE")]
    pub network: Option<String>,
    /// Name that RUN knows, and its address (format: "NAME:ADDRESS"); may be given several times
    #[arg(long = "add-host", value_name = "NAME:ADDRESS")]
    pub hosts: Vec<HostSpec>,
    /// What RUN may use.
    #[command(flatten)]
    pub limits: LimitFlags,
    /// Grant what RUN may ask for beyond the ordinary: network.host, security.insecure or device[=NAME[,alias=OTHER]]
    #[arg(long, value_name = "ENTITLEMENT", value_parser = entitlement)]
    pub allow: Vec<String>,
    /// Target platform of the build
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub platform: Option<String>,
    /// Type of progress output: auto, plain, tty, rawjson or quiet
    #[arg(long, value_name = "TYPE", value_enum, hide_possible_values = true)]
    pub progress: Option<ProgressKind>,
    /// Suppress the build output and print the image ID on success
    #[arg(short, long)]
    pub quiet: bool,
    /// Write the image ID to a file
    #[arg(long, value_name = "FILE")]
    pub iidfile: Option<PathBuf>,
    /// Write build result metadata to a file
    #[arg(long, value_name = "FILE")]
    pub metadata_file: Option<PathBuf>,
    /// Output destination (format: "type=oci|docker|local|tar|image|registry|cacheonly,dest=PATH,KEY=VALUE,…", or a directory)
    #[arg(short, long = "output", value_name = "SPEC", value_parser = OutputSpec::parse)]
    pub outputs: Vec<OutputSpec>,
    /// Say in the output where the image comes from (format: "true|false|mode=min|max,version=v1|v0.2,…")
    #[arg(long, value_name = "SPEC", value_parser = ProvenanceSpec::parse)]
    pub provenance: Option<ProvenanceSpec>,
    /// Attest something of the image in the output (format: "type=provenance,KEY=VALUE,…")
    #[arg(long, value_name = "SPEC", value_parser = AttestSpec::parse)]
    pub attest: Vec<AttestSpec>,
    /// Accepted where it asks for nothing (`--sbom=false`): no packages are listed
    #[arg(long, hide = true, value_name = "SPEC", value_parser = AttestSpec::parse_sbom)]
    pub sbom: Option<AttestSpec>,
    /// Add an annotation to the image in the output: `KEY=VALUE`, or `TYPE:KEY=VALUE` for manifest, index and so on
    #[arg(long, value_name = "ANNOTATION", value_parser = AnnotationSpec::parse)]
    pub annotation: Vec<AnnotationSpec>,
    /// Shorthand for "--output=type=registry"
    #[arg(long)]
    pub push: bool,
    /// Shorthand for "--output=type=docker" (what happens anyway)
    #[arg(long)]
    pub load: bool,
    /// Ask about the Dockerfile instead of building it: check, outline or targets, with ",format=json"
    #[arg(long, value_name = "METHOD", value_parser = CallSpec::parse)]
    pub call: Option<CallSpec>,
    /// Shorthand for "--call=check": report doubtful spots, exit with 1 if there are any
    #[arg(long)]
    pub check: bool,
    /// Format of what --check and --call print: text or json
    #[arg(long, value_name = "FORMAT", value_enum, hide_possible_values = true)]
    pub format: Option<AnswerFormat>,
    /// Accepted for old scripts: there are no intermediate containers
    #[arg(long, hide = true)]
    pub rm: bool,
    /// Accepted for old scripts: there are no intermediate containers
    #[arg(long, hide = true)]
    pub force_rm: bool,
    /// Accepted for old scripts: the context is read in place
    #[arg(long, hide = true)]
    pub compress: bool,
    /// Accepted for old scripts: told to have no effect.
    #[command(flatten)]
    pub without_effect: WithoutEffect,
    /// The build context: a directory, the URL of a repository or an archive, or `-` for an archive or a Dockerfile from
    /// standard input
    #[arg(value_name = "PATH")]
    pub context: PathBuf,
}

impl BuildFlags {
    /// What is asked instead of building.
    pub fn question(&self) -> Option<Question> {
        if self.check { Some(Question::Check) } else { self.call.and_then(|call| call.question) }
    }

    /// How the answer is to be written.
    pub fn answer_format(&self) -> AnswerFormat {
        self.call.and_then(|call| call.format).or(self.format).unwrap_or_default()
    }
}

/// An entitlement as it is written, if it is one.
fn entitlement(text: &str) -> Result<String, GrantError> {
    Entitlements::default().grant(text)?;
    Ok(text.to_owned())
}

/// How a build shows what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProgressKind {
    /// A live view on a terminal, plain lines elsewhere.
    Auto,
    /// One line an event.
    Plain,
    /// A live view.
    Tty,
    /// A JSON document a line, for programs.
    #[value(name = "rawjson")]
    RawJson,
    /// Nothing but errors.
    Quiet,
}
