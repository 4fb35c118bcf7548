//! What a command finds as `/etc/hosts`: the machine's lines, its own name, and what was asked for. Pure.
//!
//! Called by the steps of a build and by `kiln run`.

/// The address under which a command finds itself.
const OWN: &str = "127.0.0.1";

/// The lines of `base` with `hostname` as one more name of this machine, then those of `more` (address, name).
///
/// As BuildKit does it, the name is the last one in the line of the loopback address: programs that look up their own name
/// get an answer whatever the network is.
pub(crate) fn file(base: &[u8], hostname: &str, more: &[(String, String)]) -> Vec<u8> {
    let mut text = String::from_utf8_lossy(base).into_owned();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    let is_own = |line: &str| line.split_whitespace().next() == Some(OWN);
    let own = text.split_inclusive('\n').scan(0, |end, line| {
        *end += line.len();
        Some((is_own(line), *end - 1))
    });
    match own.into_iter().find(|(is_own, _)| *is_own) {
        Some((_, end)) => text.insert_str(end, &format!(" {hostname}")),
        None => text.extend([OWN, "\t", hostname, "\n"]),
    }
    for (address, name) in more {
        text.extend([address.as_str(), "\t", name.as_str(), "\n"]);
    }
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(base: &str, more: &[(String, String)]) -> String {
        String::from_utf8_lossy(&file(base.as_bytes(), "me", more)).into_owned()
    }

    #[test]
    fn a_command_finds_itself() {
        assert_eq!(
            hosts("127.0.0.1\tlocalhost\n::1\tlocalhost\n", &[]),
            "127.0.0.1\tlocalhost me\n::1\tlocalhost\n"
        );
        assert_eq!(hosts("::1 localhost", &[]), "::1 localhost\n127.0.0.1\tme\n");
        assert_eq!(hosts("", &[]), "127.0.0.1\tme\n");
    }

    #[test]
    fn what_was_asked_for_comes_last() {
        let more = [("10.0.0.1".to_owned(), "db".to_owned())];
        assert_eq!(hosts("127.0.0.1 localhost", &more), "127.0.0.1 localhost me\n10.0.0.1\tdb\n");
    }
}
