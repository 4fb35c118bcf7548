//! Platform strings: `os/arch[/variant]` read, normalised and written.
//!
//! Source of the names and aliases: the OCI image specification's list of Go names, and what containerd
//! accepts where a user writes a platform.

/// A platform in normal form.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Platform {
    /// Operating system.
    pub os: String,
    /// Architecture.
    pub arch: String,
    /// Variant, empty when there is none.
    pub variant: String,
}

/// Why a platform string cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum PlatformError {
    #[error("platform `{text}` has no valid form; it is written os/arch or os/arch/variant")]
    Form { text: String },
    #[error("platform `{text}` names neither an operating system nor an architecture")]
    Unknown { text: String },
}

const SYSTEMS: &[&str] =
    &["linux", "windows", "darwin", "freebsd", "netbsd", "openbsd", "dragonfly", "solaris", "illumos", "aix"];

const ARCHITECTURES: &[&str] = &[
    "amd64", "arm64", "arm", "386", "riscv64", "ppc64le", "ppc64", "s390x", "loong64", "mips64le", "mips64",
    "mipsle", "mips", "wasm",
];

impl Platform {
    /// Reads `text`; what is left out (`linux`, `arm64`) comes from `host`.
    pub fn parse(text: &str, host: Option<&Platform>) -> Result<Self, PlatformError> {
        let parts: Vec<String> = text.split('/').map(str::to_lowercase).collect();
        let legal = |part: &String| {
            !part.is_empty()
                && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
        };
        if !parts.iter().all(legal) {
            return Err(PlatformError::Form { text: text.to_owned() });
        }
        match parts.as_slice() {
            [one] => Self::from_one_word(text, one, host),
            [os, arch] => Ok(Self::normal(os, arch, "")),
            [os, arch, variant] => Ok(Self::normal(os, arch, variant)),
            _ => Err(PlatformError::Form { text: text.to_owned() }),
        }
    }

    /// The normal form of the three names.
    pub fn normal(os: &str, arch: &str, variant: &str) -> Self {
        let os = if os == "macos" { "darwin" } else { os };
        let (arch, variant) = match (arch, variant) {
            ("x86_64" | "x86-64" | "amd64", "" | "v1") => ("amd64", ""),
            ("x86_64" | "x86-64", variant) => ("amd64", variant),
            ("i386", _) => ("386", ""),
            ("aarch64" | "arm64", "" | "8" | "v8" | "v8.0") => ("arm64", ""),
            ("aarch64" | "arm64", "9" | "9.0" | "v9.0") => ("arm64", "v9"),
            ("aarch64", variant) => ("arm64", variant),
            ("armhf", _) | ("arm", "" | "7") => ("arm", "v7"),
            ("armel", _) | ("arm", "6") => ("arm", "v6"),
            ("arm", "5") => ("arm", "v5"),
            ("arm", "8") => ("arm", "v8"),
            other => other,
        };
        Self { os: os.to_owned(), arch: arch.to_owned(), variant: variant.to_owned() }
    }

    fn from_one_word(text: &str, word: &str, host: Option<&Platform>) -> Result<Self, PlatformError> {
        let unknown = || PlatformError::Unknown { text: text.to_owned() };
        let host = host.ok_or_else(unknown)?;
        let system = Self::normal(word, &host.arch, &host.variant);
        if SYSTEMS.contains(&system.os.as_str()) {
            return Ok(system);
        }
        let architecture = Self::normal(&host.os, word, "");
        if ARCHITECTURES.contains(&architecture.arch.as_str()) {
            return Ok(architecture);
        }
        Err(unknown())
    }
}

impl std::fmt::Display for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.os, self.arch)?;
        if self.variant.is_empty() { Ok(()) } else { write!(f, "/{}", self.variant) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn platforms_are_normalised() {
        let host = Platform::parse("linux/amd64", None).unwrap();
        for (text, expected) in [
            ("linux/amd64", "linux/amd64"),
            ("Linux/x86_64", "linux/amd64"),
            ("linux/amd64/v1", "linux/amd64"),
            ("linux/amd64/v3", "linux/amd64/v3"),
            ("linux/aarch64", "linux/arm64"),
            ("linux/arm64/v8", "linux/arm64"),
            ("linux/arm", "linux/arm/v7"),
            ("linux/armel", "linux/arm/v6"),
            ("linux/arm/v6", "linux/arm/v6"),
            ("linux/i386", "linux/386"),
            ("arm64", "linux/arm64"),
            ("linux", "linux/amd64"),
            ("linux/unheard-of", "linux/unheard-of"),
        ] {
            assert_eq!(Platform::parse(text, Some(&host)).unwrap().to_string(), expected, "{text}");
        }
        for text in ["", "/", "linux/", "a/b/c/d", "potato", "linux/amd 64", "linux/*"] {
            assert!(Platform::parse(text, Some(&host)).is_err(), "{text}");
        }
    }
}
