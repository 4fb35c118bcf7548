//! The rules that exist: their names, what they say in general, and where they are explained.
//!
//! Names, descriptions and addresses of Docker's are Docker's, because tools compare them. Kiln's own rules have names
//! in kebab-case, never fail a build or a check, and are skipped in the same way.

/// Where Docker explains its rules.
const DOCUMENTATION: &str = "https://docs.docker.com/go/dockerfile/rule/";

/// One rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Its name, the code of its diagnostics.
    pub name: &'static str,
    /// What it asks for.
    pub description: &'static str,
    /// The last part of the address of its page, if it has one.
    page: Option<&'static str>,
    /// Whether it is off unless it is asked for.
    pub experimental: bool,
}

impl Rule {
    /// The rule of that name, Docker's or kiln's own.
    pub fn named(name: &str) -> Option<&'static Self> {
        RULES.iter().chain(&OWN).find(|rule| rule.name == name)
    }

    /// The page that explains it.
    pub fn url(&self) -> Option<String> {
        self.page.map(|page| format!("{DOCUMENTATION}{page}/"))
    }

    /// Whether it is one of Docker's.
    pub fn is_dockers(&self) -> bool {
        RULES.iter().any(|rule| rule.name == self.name)
    }
}

const fn docker(name: &'static str, page: &'static str, description: &'static str) -> Rule {
    Rule { name, description, page: Some(page), experimental: false }
}

const fn own(name: &'static str, description: &'static str) -> Rule {
    Rule { name, description, page: None, experimental: false }
}

/// Docker's rules, in the order of its reference.
pub const RULES: [Rule; 22] = [
    docker("StageNameCasing", "stage-name-casing", "Stage names should be lowercase"),
    docker("FromAsCasing", "from-as-casing", "The 'as' keyword should match the case of the 'from' keyword"),
    docker(
        "NoEmptyContinuation",
        "no-empty-continuation",
        "Empty continuation lines will become errors in a future release",
    ),
    docker(
        "ConsistentInstructionCasing",
        "consistent-instruction-casing",
        "All commands within the Dockerfile should use the same casing (either upper or lower)",
    ),
    docker("DuplicateStageName", "duplicate-stage-name", "Stage names should be unique"),
    docker("ReservedStageName", "reserved-stage-name", "Reserved words should not be used as stage names"),
    docker(
        "JSONArgsRecommended",
        "json-args-recommended",
        "JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior related to OS signals",
    ),
    docker(
        "MaintainerDeprecated",
        "maintainer-deprecated",
        "The MAINTAINER instruction is deprecated, use a label instead to define an image author",
    ),
    docker("UndefinedArgInFrom", "undefined-arg-in-from", "FROM command must use declared ARGs"),
    docker(
        "WorkdirRelativePath",
        "workdir-relative-path",
        "Relative workdir without an absolute workdir declared within the build can have unexpected results if \
         the base image changes",
    ),
    docker("UndefinedVar", "undefined-var", "Variables should be defined before their use"),
    docker(
        "MultipleInstructionsDisallowed",
        "multiple-instructions-disallowed",
        "Multiple instructions of the same type should not be used in the same stage",
    ),
    docker(
        "LegacyKeyValueFormat",
        "legacy-key-value-format",
        "Legacy key/value format with whitespace separator should not be used",
    ),
    Rule {
        name: "InvalidBaseImagePlatform",
        description: "Base image platform does not match expected target platform",
        page: None,
        experimental: false,
    },
    docker(
        "RedundantTargetPlatform",
        "redundant-target-platform",
        "Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior",
    ),
    docker(
        "SecretsUsedInArgOrEnv",
        "secrets-used-in-arg-or-env",
        "Sensitive data should not be used in the ARG or ENV commands",
    ),
    docker(
        "InvalidDefaultArgInFrom",
        "invalid-default-arg-in-from",
        "Default value for global ARG results in an empty or invalid base image name",
    ),
    docker(
        "FromPlatformFlagConstDisallowed",
        "from-platform-flag-const-disallowed",
        "FROM --platform flag should not use a constant value",
    ),
    docker(
        "CopyIgnoredFile",
        "copy-ignored-file",
        "Attempting to Copy file that is excluded by .dockerignore",
    ),
    Rule {
        name: "InvalidDefinitionDescription",
        description: "Comment for build stage or argument should follow the format: `# <arg/stage name> \
                      <description>`. If this is not intended to be a description comment, add an empty line or \
                      comment between the instruction and the comment.",
        page: Some("invalid-definition-description"),
        experimental: true,
    },
    docker("ExposeProtoCasing", "expose-proto-casing", "Protocol in EXPOSE instruction should be lowercase"),
    docker(
        "ExposeInvalidFormat",
        "expose-invalid-format",
        "IP address and host-port mapping should not be used in EXPOSE instruction. This will become an error in a \
         future release",
    ),
];

/// Kiln's own rules.
pub const OWN: [Rule; 11] = [
    own("copy-before-install", "Dependencies should be installed before the whole context is copied"),
    own(
        "destination-not-a-directory",
        "The destination of several sources should end with a /, so that it is a directory",
    ),
    own("download-without-cache", "Downloads should be kept in a cache mount"),
    own("foreign-frontend", "What `# syntax=` names should read Dockerfiles"),
    own("hidden-heredoc", "A `<<` that looks like a heredoc should be taken for one"),
    own("ignored-directive", "A parser directive should stand where it has an effect"),
    own("malformed-json", "What looks like a JSON array should be one, or it is run as plain text"),
    own("newer-language", "`# syntax=` should name a version of the language that kiln knows"),
    own("stored-twice", "Mode and owner should be given to COPY, not changed by a later step"),
    own("unknown-check", "skip and experimental should name rules that exist"),
    own("unused-build-arg", "Each --build-arg should be declared by an ARG"),
];

#[cfg(test)]
mod tests {
    use super::{OWN, RULES, Rule};

    #[test]
    fn rules_are_found_by_their_names() {
        for rule in RULES.iter().chain(&OWN) {
            assert_eq!(Rule::named(rule.name), Some(rule));
            assert_eq!(rule.is_dockers(), rule.name.starts_with(|c: char| c.is_ascii_uppercase()));
        }
        assert_eq!(Rule::named("stagenamecasing"), None);
    }

    #[test]
    fn pages_are_named_like_their_rules() {
        for rule in RULES {
            let Some(page) = rule.page else { continue };
            assert_eq!(page.replace('-', ""), rule.name.to_lowercase());
        }
        let url = Rule::named("FromAsCasing").and_then(Rule::url);
        assert_eq!(url.as_deref(), Some("https://docs.docker.com/go/dockerfile/rule/from-as-casing/"));
    }
}
