//! Platforms (`linux/arm/v7`): reading, normalising, and which of an index's entries suits a machine.
//!
//! The aliases and the order of preference are containerd's, which Docker and BuildKit share. The
//! resolver uses this; the builder and the command line use it to normalise what a user wrote.

use std::fmt;

/// An operating system, an architecture and, for some architectures, a variant; normalised.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Platform {
    os: String,
    architecture: String,
    variant: Option<String>,
}

/// A text that is not a platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a platform: expected OS/ARCHITECTURE[/VARIANT], such as linux/arm64")]
pub struct PlatformError {
    /// The text as given.
    pub text: String,
}

impl Platform {
    /// Reads `os/architecture[/variant]`.
    pub fn parse(text: &str) -> Result<Self, PlatformError> {
        let wrong = || PlatformError { text: text.to_owned() };
        let parts: Vec<&str> = text.split('/').collect();
        if parts.iter().any(|part| !is_part(part)) {
            return Err(wrong());
        }
        match parts[..] {
            [os, architecture] => Ok(Self::new(os, architecture, None)),
            [os, architecture, variant] => Ok(Self::new(os, architecture, Some(variant))),
            _ => Err(wrong()),
        }
    }

    /// The platform that a document names in its `os`, `architecture` and `variant` fields.
    pub fn new(os: &str, architecture: &str, variant: Option<&str>) -> Self {
        let os = match os.to_ascii_lowercase().as_str() {
            "macos" => "darwin".to_owned(),
            os => os.to_owned(),
        };
        let (architecture, variant) =
            normalise(&architecture.to_ascii_lowercase(), &variant.unwrap_or_default().to_ascii_lowercase());
        Self { os, architecture, variant }
    }

    /// The operating system: `linux`.
    pub fn os(&self) -> &str {
        &self.os
    }

    /// The architecture, in Go's words: `amd64`.
    pub fn architecture(&self) -> &str {
        &self.architecture
    }

    /// The variant where it is not the architecture's usual one: `v7` of arm; nothing for amd64 and arm64.
    pub fn variant(&self) -> Option<&str> {
        self.variant.as_deref()
    }

    /// What a machine of this platform can run, best first.
    fn preferences(&self) -> Vec<Self> {
        let with = |architecture: &str, variant: Option<String>| Self {
            os: self.os.clone(),
            architecture: architecture.to_owned(),
            variant,
        };
        let arm = |highest: u32| (5..=highest).rev().map(move |v| with("arm", Some(format!("v{v}"))));
        let level =
            self.variant.as_deref().and_then(|v| v.strip_prefix('v')).and_then(|v| v.parse::<u32>().ok());
        let mut list = vec![self.clone()];
        match (self.architecture.as_str(), level) {
            ("amd64", level) => {
                list.extend(
                    (2..level.unwrap_or(1).min(9)).rev().map(|v| with("amd64", Some(format!("v{v}")))),
                );
                list.extend([with("amd64", None), with("386", None)]);
            }
            ("arm64", _) => {
                list.push(with("arm64", None));
                list.extend(arm(8));
            }
            ("arm", Some(level)) => list.extend(arm(level.saturating_sub(1).min(8))),
            _ => {}
        }
        list
    }

    /// How well an image of platform `other` suits this machine: 0 is best, nothing is not at all.
    pub fn rank(&self, other: &Self) -> Option<usize> {
        self.preferences().iter().position(|preference| preference == other)
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

fn is_part(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
}

/// containerd's normalisation of architecture and variant.
fn normalise(architecture: &str, variant: &str) -> (String, Option<String>) {
    let (architecture, variant) = match (architecture, variant) {
        ("i386", _) => ("386", ""),
        ("x86_64" | "x86-64" | "amd64", "v1") => ("amd64", ""),
        ("x86_64" | "x86-64", variant) => ("amd64", variant),
        ("aarch64" | "arm64", "8" | "v8") => ("arm64", ""),
        ("aarch64", variant) => ("arm64", variant),
        ("armhf", _) | ("arm", "" | "7") => ("arm", "v7"),
        ("armel", _) | ("arm", "6") => ("arm", "v6"),
        ("arm", "5") => ("arm", "v5"),
        ("arm", "8") => ("arm", "v8"),
        other => other,
    };
    (architecture.to_owned(), Some(variant.to_owned()).filter(|variant| !variant.is_empty()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn platform(text: &str) -> Platform {
        Platform::parse(text).unwrap()
    }

    #[test]
    fn normalises_aliases() {
        for (written, meant) in [
            ("linux/amd64", "linux/amd64"),
            ("Linux/x86_64", "linux/amd64"),
            ("linux/amd64/v1", "linux/amd64"),
            ("linux/amd64/v3", "linux/amd64/v3"),
            ("linux/aarch64", "linux/arm64"),
            ("linux/arm64/v8", "linux/arm64"),
            ("linux/arm", "linux/arm/v7"),
            ("linux/armhf", "linux/arm/v7"),
            ("linux/armel", "linux/arm/v6"),
            ("linux/i386", "linux/386"),
            ("macos/arm64", "darwin/arm64"),
        ] {
            assert_eq!(platform(written).to_string(), meant);
        }
        for text in ["", "linux", "linux/", "/amd64", "a/b/c/d", "linux/am d64", "linux//v7"] {
            assert!(Platform::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn prefers_the_nearest_that_runs() {
        let ranked = |machine: &str, images: &[&str]| {
            let machine = platform(machine);
            let mut fit: Vec<_> =
                images.iter().filter_map(|image| Some((machine.rank(&platform(image))?, *image))).collect();
            fit.sort_unstable();
            fit.into_iter().map(|(_, image)| image.to_owned()).collect::<Vec<_>>()
        };
        let arms =
            ["linux/arm/v5", "linux/arm/v6", "linux/arm/v7", "linux/arm/v8", "linux/arm64", "linux/amd64"];
        assert_eq!(ranked("linux/arm/v7", &arms), ["linux/arm/v7", "linux/arm/v6", "linux/arm/v5"]);
        assert_eq!(ranked("linux/arm/v6", &arms), ["linux/arm/v6", "linux/arm/v5"]);
        assert_eq!(ranked("linux/arm64", &arms)[..2], ["linux/arm64", "linux/arm/v8"]);
        let intel = ["linux/386", "linux/amd64/v3", "linux/amd64/v2", "linux/amd64", "windows/amd64"];
        assert_eq!(ranked("linux/amd64", &intel), ["linux/amd64", "linux/386"]);
        assert_eq!(
            ranked("linux/amd64/v3", &intel),
            ["linux/amd64/v3", "linux/amd64/v2", "linux/amd64", "linux/386"]
        );
    }
}
