//! A file of the Container Device Interface, in JSON or YAML. Pure.
//!
//! The fields are those of version 1.1 of the specification; a file with others is refused, as the specification wants:
//! leaving out what a device needs would give a command half a device.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Format {
    Json,
    Yaml,
}

/// A file.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Specification {
    cdi_version: String,
    /// `vendor.com/class`.
    pub(super) kind: String,
    #[serde(default)]
    pub(super) annotations: BTreeMap<String, Scalar>,
    pub(super) devices: Vec<Entry>,
    /// What comes with each of the devices.
    #[serde(default)]
    pub(super) container_edits: ContainerEdits,
}

/// A device.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Entry {
    pub(super) name: String,
    #[serde(default)]
    pub(super) annotations: BTreeMap<String, Scalar>,
    #[serde(default)]
    pub(super) container_edits: ContainerEdits,
}

/// The value of an annotation: text, but YAML's writers leave out the quotes of `true`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Scalar {
    Boolean(bool),
    Text(String),
}

impl Scalar {
    pub(super) fn as_str(&self) -> &str {
        match self {
            Scalar::Boolean(true) => "true",
            Scalar::Boolean(false) => "false",
            Scalar::Text(text) => text,
        }
    }
}

/// What a command is to get.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct ContainerEdits {
    /// `NAME=VALUE`.
    pub(super) env: Vec<String>,
    pub(super) device_nodes: Vec<Node>,
    pub(super) mounts: Vec<MountEntry>,
    pub(super) hooks: Vec<Hook>,
    pub(super) net_devices: Vec<IgnoredAny>,
    pub(super) intel_rdt: Option<IgnoredAny>,
    /// Written both ways in the specification's text and its types.
    #[serde(alias = "additionalGIDs")]
    pub(super) additional_gids: Vec<u32>,
}

/// A device node.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Node {
    /// Inside the root.
    pub(super) path: String,
    /// Where the host has it, if elsewhere.
    pub(super) host_path: Option<String>,
    #[serde(rename = "type", default)]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) major: u32,
    #[serde(default)]
    pub(super) minor: u32,
    pub(super) file_mode: Option<u32>,
    #[serde(default)]
    pub(super) permissions: String,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
}

/// Files of the host.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct MountEntry {
    pub(super) host_path: String,
    pub(super) container_path: String,
    #[serde(default)]
    pub(super) options: Vec<String>,
    #[serde(rename = "type", default)]
    pub(super) kind: String,
}

/// A program that a container runtime would execute.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Hook {
    pub(super) hook_name: String,
    pub(super) path: String,
}

impl Specification {
    /// Reads a file; an error is one line about it.
    pub(super) fn parse(text: &str, format: Format) -> Result<Specification, String> {
        let specification: Specification = match format {
            Format::Json => serde_json::from_str(text).map_err(|error| error.to_string())?,
            Format::Yaml => {
                // Modes are written as in C.
                let options = serde_saphyr::options! { legacy_octal_numbers: true, with_snippet: false };
                serde_saphyr::from_str_with_options(text, options)
                    .map_err(|error| one_line(&error.to_string()))?
            }
        };
        specification.check()?;
        Ok(specification)
    }

    fn check(&self) -> Result<(), String> {
        let version = self.cdi_version.trim_start_matches('v');
        if !["0.", "1."].iter().any(|known| version.starts_with(known)) {
            return Err(format!("version {version} of the Container Device Interface is not known"));
        }
        let is_kind = |(vendor, class): (&str, &str)| {
            !vendor.is_empty() && !class.is_empty() && !class.contains(['/', '='])
        };
        if !self.kind.split_once('/').is_some_and(is_kind) {
            return Err(format!("the kind `{}` is not of the form vendor.com/class", self.kind));
        }
        match self.devices.iter().find(|device| device.name.is_empty() || device.name.contains(['=', '*'])) {
            Some(device) => Err(format!("`{}` is no name of a device", device.name)),
            None => Ok(()),
        }
    }
}

fn one_line(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}
