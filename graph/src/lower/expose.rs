//! EXPOSE: ports, ranges and protocols.
//!
//! Source of the forms: the Dockerfile reference; addresses and host ports, which `docker run -p` takes, are
//! accepted and left out, as in Docker.

use std::net::IpAddr;

use kiln_parser::Diagnostic;
use kiln_parser::instruction::Word;
use serde_json::Value;

use super::Checked;
use super::gotext;
use super::scope::expansion_failed;
use super::stage::StageLowering;

impl StageLowering<'_, '_> {
    pub(super) fn expose(&mut self, words: &[Word]) -> Checked<()> {
        let mut all = Vec::new();
        // Docker's parser sorts the words as they are written, and the history tells them in that order.
        let mut words: Vec<&Word> = words.iter().collect();
        words.sort_by(|left, right| left.value.cmp(&right.value));
        for word in words {
            let lex = self.build.globals.lex;
            let expanded = lex
                .expand_words(&word.value, &self.state.environment)
                .map_err(|error| expansion_failed(word, &error))?;
            self.warn_of_unset(&expanded.unset, word.span);
            for text in &expanded.values {
                self.check_port(text, word.span);
                let ports = ports(text).map_err(|reason| {
                    let message = format!("invalid port \"{text}\": {reason}");
                    Box::new(
                        Diagnostic::error("invalid-port", message, word.span)
                            .with_help("write `8080`, `8000-8010`, `53/udp` or `9000/sctp`"),
                    )
                })?;
                all.extend(ports);
            }
        }
        let exposed = &mut self.state.config.config.exposed_ports;
        exposed.extend(all.iter().map(|port| (port.clone(), Value::Object(serde_json::Map::new()))));
        self.state.record(format!("EXPOSE {}", gotext::list(&all)));
        Ok(())
    }
}

/// `port/protocol` for each port of a specification.
fn ports(text: &str) -> Result<Vec<String>, String> {
    let (port, protocol) = text.split_once('/').unwrap_or((text, ""));
    let protocol = match protocol.to_lowercase().as_str() {
        "" => "tcp".to_owned(),
        known @ ("tcp" | "udp" | "sctp") => known.to_owned(),
        other => return Err(format!("unknown protocol {other}")),
    };
    let mut parts = port.rsplitn(3, ':');
    let (low, high) = range(parts.next().unwrap_or_default())?;
    let host = parts.next().filter(|host| !host.is_empty()).map(range).transpose()?;
    if let Some((host_low, host_high)) = host
        && high != low
        && host_high - host_low != high - low
    {
        return Err("the ranges of the host and of the container differ in length".to_owned());
    }
    if let Some(address) = parts.next().filter(|address| !address.is_empty()) {
        let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
        bare.parse::<IpAddr>().map_err(|_| format!("{address} is no IP address"))?;
    }
    Ok((low..=high).map(|port| format!("{port}/{protocol}")).collect())
}

fn range(text: &str) -> Result<(u16, u16), String> {
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = if digits { text.parse::<u16>().ok() } else { None };
        number.ok_or_else(|| format!("\"{text}\" is no number from 0 to 65535"))
    };
    let (low, high) = (number(low)?, number(high)?);
    if high < low { Err(format!("the range {text} runs backwards")) } else { Ok((low, high)) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn specifications_become_ports() {
        for (text, expected) in [
            ("80", "80/tcp"),
            ("53/udp", "53/udp"),
            ("80/TCP", "80/tcp"),
            ("8000-8002", "8000/tcp 8001/tcp 8002/tcp"),
            ("9/sctp", "9/sctp"),
            ("8080:80", "80/tcp"),
            ("127.0.0.1:8080:80/udp", "80/udp"),
            ("[::1]:8080:80", "80/tcp"),
            ("8000-8001:90-91", "90/tcp 91/tcp"),
            ("8000-8010:80", "80/tcp"),
            ("80/", "80/tcp"),
        ] {
            assert_eq!(ports(text).unwrap().join(" "), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_port_is_refused() {
        for text in
            ["", "http", "70000", "10-9", "80/icmp", "1-2:3-5", "x:80", "1.2.3:80:80", "-1", "+1", "/tcp"]
        {
            assert!(ports(text).is_err(), "{text}");
        }
    }
}
