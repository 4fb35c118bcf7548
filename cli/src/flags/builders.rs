//! Flags of docker's commands on builders, and of `kiln info`.
//!
//! There is one builder, so most of them only have to be understood: scripts begin with `docker buildx create --use`.
//! What is answered stands in `crate::commands::builders`.

use clap::Args;

/// `kiln buildx create [OPTIONS] [CONTEXT]`.
#[derive(Debug, Clone, Default, Args)]
pub struct CreateFlags {
    /// Name of the builder, which is printed
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Accepted: there is no other builder to be used
    #[arg(long = "use")]
    set_current: bool,
    #[arg(long, hide = true)]
    bootstrap: bool,
    #[arg(long, hide = true)]
    append: bool,
    #[arg(long, hide = true)]
    leave: bool,
    /// Builders on other machines are none of these.
    #[arg(long, hide = true, value_name = "DRIVER", value_parser = ["docker-container", "docker"])]
    driver: Option<String>,
    #[arg(long, hide = true, value_name = "OPTION")]
    driver_opt: Vec<String>,
    #[arg(long, hide = true, value_name = "NAME")]
    node: Option<String>,
    #[arg(long, hide = true, value_name = "PLATFORM")]
    platform: Vec<String>,
    #[arg(long, hide = true, value_name = "FLAGS", allow_hyphen_values = true)]
    buildkitd_flags: Option<String>,
    #[arg(long, hide = true, value_name = "FILE")]
    buildkitd_config: Option<String>,
    #[arg(value_name = "CONTEXT", hide = true)]
    context: Option<String>,
}

/// `kiln buildx use|rm|inspect [OPTIONS] [NAME]`.
#[derive(Debug, Clone, Default, Args)]
pub struct NameFlags {
    #[arg(long, hide = true)]
    bootstrap: bool,
    #[arg(long, hide = true)]
    default: bool,
    #[arg(long, hide = true)]
    global: bool,
    #[arg(short, long, hide = true)]
    force: bool,
    #[arg(long, hide = true)]
    all_inactive: bool,
    #[arg(long, hide = true)]
    keep_state: bool,
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

/// `kiln info [OPTIONS]`.
#[derive(Debug, Clone, Default, Args)]
pub struct InfoFlags {
    /// Format output: json, or a template such as '{{.ServerVersion}}'
    #[arg(short, long, value_name = "FORMAT")]
    pub format: Option<String>,
}
