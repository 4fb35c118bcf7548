//! Package URLs of images: how statements name them. Source of the format: the purl specification, as BuildKit applies it.

use std::fmt::Write as _;

use kiln_registry::{Platform, Reference};

/// The URL of an image: `docker` for one of a registry, `oci` for one of a layout.
pub fn purl(kind: &str, reference: &Reference, platform: Option<&str>) -> String {
    let name = reference.familiar_name();
    let path: Vec<String> = name.split('/').map(encoded).collect();
    let mut url = format!("pkg:{kind}/{}", path.join("/"));
    if let Some(tag) = reference.tag() {
        url.push('@');
        url.push_str(&encoded(tag));
    }
    let digest = reference.digest().map(|digest| format!("digest={}", digest_value(digest.as_ref())));
    let platform = platform.map(|platform| {
        let normal =
            Platform::parse(platform).map_or_else(|_| platform.to_owned(), |parsed| parsed.to_string());
        format!("platform={}", encoded(&normal))
    });
    let qualifiers: Vec<String> = digest.into_iter().chain(platform).collect();
    if !qualifiers.is_empty() {
        url.push('?');
        url.push_str(&qualifiers.join("&"));
    }
    url
}

/// Percent-encoded, except for what every URL may hold.
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// A digest keeps its colon.
fn digest_value(digest: &str) -> String {
    digest.split(':').map(encoded).collect::<Vec<_>>().join(":")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn images_have_urls() {
        let digest = format!("sha256:{}", "0".repeat(64));
        for (reference, platform, expected) in [
            ("alpine", None, "pkg:docker/alpine@latest".to_owned()),
            ("user/test:v2", None, "pkg:docker/user/test@v2".to_owned()),
            (
                "127.0.0.1:5000/busybox",
                Some("linux/amd64"),
                "pkg:docker/127.0.0.1%3A5000/busybox@latest?platform=linux%2Famd64".to_owned(),
            ),
            (
                &format!("alpine@{digest}"),
                Some("linux/arm64/v8"),
                format!("pkg:docker/alpine?digest={digest}&platform=linux%2Farm64"),
            ),
        ] {
            assert_eq!(purl("docker", &Reference::parse(reference).unwrap(), platform), expected);
        }
    }
}
