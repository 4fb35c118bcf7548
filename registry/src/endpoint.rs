//! Which URL a registry's name means, and with which hosts clear text is allowed. Pure.
//!
//! The rules are docker's: loopback addresses and the registries that the user lists as insecure may be
//! spoken to without TLS or with a certificate that nobody vouches for; every other only over verified TLS.

use std::net::{IpAddr, Ipv4Addr};

use reqwest::Url;

use crate::error::RegistryError;
use crate::reference::DEFAULT_REGISTRY;

/// The host that serves docker.io's images.
const DEFAULT_REGISTRY_HOST: &str = "registry-1.docker.io";

/// Names of servers that stand for docker.io in files and scripts.
const HUB_NAMES: [&str; 2] = [DEFAULT_REGISTRY, "index.docker.io"];

/// Scheme of a connection without TLS.
pub(crate) const HTTP: &str = "http";
/// Scheme of a connection with TLS.
pub(crate) const HTTPS: &str = "https";

/// The host (with its port, if it has one) that answers for a registry's name.
pub(crate) fn host_of(registry: &str) -> &str {
    if registry == DEFAULT_REGISTRY { DEFAULT_REGISTRY_HOST } else { registry }
}

/// The registry that a user means by a server's name, which docker takes with a scheme and a path too: `host[:port]`;
/// nothing if that is no host.
pub fn registry_of(server: &str) -> Option<&str> {
    let bare = server.strip_prefix("https://").or_else(|| server.strip_prefix("http://")).unwrap_or(server);
    let host = bare.split('/').next().unwrap_or_default();
    if HUB_NAMES.contains(&host) {
        return Some(DEFAULT_REGISTRY);
    }
    let is_host = !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || ".-_:[]".contains(c));
    (is_host && base_url(HTTPS, host).is_ok()).then_some(host)
}

/// A registry's API root.
pub(crate) fn base_url(scheme: &str, registry: &str) -> Result<Url, RegistryError> {
    let text = format!("{scheme}://{}/v2/", host_of(registry));
    Url::parse(&text).map_err(|_| RegistryError::Url { url: text })
}

/// The schemes to try for a registry that may be without TLS. With a port, plain HTTP comes first where
/// nobody can listen (a TLS server answers it with an error at once, while an HTTP server may wait for the
/// end of a TLS greeting for ever); otherwise TLS comes first, as docker does.
pub(crate) fn schemes(base: &Url) -> [&'static str; 2] {
    if base.port().is_some() && is_loopback(base) { [HTTP, HTTPS] } else { [HTTPS, HTTP] }
}

/// Whether a URL's host is this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host_str() {
        Some("localhost") => true,
        Some(host) => address(host).is_some_and(|address| address.is_loopback()),
        None => false,
    }
}

/// Whether a URL's host is this machine or listed in `insecure` (`host`, `host:port`, or `address/bits`).
pub(crate) fn is_insecure(url: &Url, insecure: &[String]) -> bool {
    is_loopback(url) || insecure.iter().any(|entry| is_listed(url, entry))
}

fn is_listed(url: &Url, entry: &str) -> bool {
    let host = url.host_str().unwrap_or_default();
    if let Some((network, bits)) = entry.split_once('/') {
        let (Ok(network), Ok(bits), Some(address)) = (network.parse(), bits.parse(), address(host)) else {
            return false;
        };
        return is_within(address, network, bits);
    }
    if let Some(port) = url.port() {
        return entry.eq_ignore_ascii_case(&format!("{host}:{port}"));
    }
    let default = url.port_or_known_default().map(|port| format!(":{port}")).unwrap_or_default();
    entry.strip_suffix(default.as_str()).unwrap_or(entry).eq_ignore_ascii_case(host)
}

fn address(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

fn is_within(address: IpAddr, network: IpAddr, bits: u32) -> bool {
    let top = |value: u128, width: u32| if bits == 0 { 0 } else { value >> (width - bits.min(width)) };
    match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(b)) => {
            let wide = |address: Ipv4Addr| u128::from(address.to_bits());
            bits <= 32 && top(wide(a), 32) == top(wide(b), 32)
        }
        (IpAddr::V6(a), IpAddr::V6(b)) => bits <= 128 && top(a.to_bits(), 128) == top(b.to_bits(), 128),
        _ => false,
    }
}

/// Whether two URLs go to the same scheme, host and port.
pub(crate) fn is_same_origin(a: &Url, b: &Url) -> bool {
    a.scheme() == b.scheme()
        && a.host_str() == b.host_str()
        && a.port_or_known_default() == b.port_or_known_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn url(host: &str) -> Url {
        base_url(HTTPS, host).unwrap()
    }

    #[test]
    fn docker_io_has_a_host_of_its_own() {
        assert_eq!(url("docker.io").as_str(), "https://registry-1.docker.io/v2/");
        assert_eq!(base_url(HTTP, "localhost:5000").unwrap().as_str(), "http://localhost:5000/v2/");
        assert_eq!(url("[::1]:5000").as_str(), "https://[::1]:5000/v2/");
    }

    #[test]
    fn a_server_may_be_named_as_docker_takes_it() {
        for (server, registry) in [
            ("r.example", "r.example"),
            ("https://r.example:5000/v2/", "r.example:5000"),
            ("http://[::1]:5000", "[::1]:5000"),
            ("ghcr.io/owner", "ghcr.io"),
            ("registry", "registry"),
            ("docker.io", "docker.io"),
            ("https://index.docker.io/v1/", "docker.io"),
        ] {
            assert_eq!(registry_of(server), Some(registry), "{server}");
        }
        for server in
            ["", "https://", "/", "me@r.example", "r.example:port", "r example", "a?b", "$HOST", "é"]
        {
            assert_eq!(registry_of(server), None, "{server}");
        }
    }

    #[test]
    fn only_this_machine_and_listed_hosts_are_insecure() {
        let listed =
            ["r.example:5000", "plain.example", "10.1.0.0/16", "fd00::/8", "0.0.0.0/x"].map(str::to_owned);
        for host in [
            "localhost",
            "localhost:5000",
            "127.0.0.1",
            "127.9.9.9:1",
            "[::1]:5000",
            "r.example:5000",
            "R.example:5000",
            "plain.example",
            "10.1.255.1:5000",
            "[fd12::1]:5000",
        ] {
            assert!(is_insecure(&url(host), &listed), "{host}");
        }
        for host in [
            "docker.io",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "r.example",
            "r.example:5001",
            "plain.example:5000",
            "x.plain.example",
            "10.2.0.1",
            "[fe00::1]:5000",
            "0.0.0.1",
        ] {
            assert!(!is_insecure(&url(host), &listed), "{host}");
        }
        assert!(is_insecure(&url("9.9.9.9"), &["0.0.0.0/0".to_owned()]));
    }

    #[test]
    fn origins_differ_by_scheme_host_and_port() {
        let parse = |text| Url::parse(text).unwrap();
        assert!(is_same_origin(&parse("https://a/x"), &parse("https://a:443/y")));
        for other in ["http://a/x", "https://a:444/x", "https://b/x", "https://a.b/x"] {
            assert!(!is_same_origin(&parse("https://a/x"), &parse(other)));
        }
    }
}
