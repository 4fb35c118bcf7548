//! URLs without their secrets, for everything that people or images keep: names of steps, history, errors.

/// What stands where a user name or a password stood.
const HIDDEN: &str = "xxxxx";

/// `text` with the user name and the password of every URL in it replaced, as BuildKit writes them:
/// `https://xxxxx:xxxxx@host/`. A user name alone stays where it is no secret (`ssh://git@host`).
pub fn redact(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("://") {
        let (before, after) = rest.split_at(start + 3);
        shown.push_str(before);
        let end = after.find(|c: char| matches!(c, '/' | '?' | '#' | '"' | '\'') || c.is_whitespace());
        let (authority, tail) = after.split_at(end.unwrap_or(after.len()));
        match authority.rsplit_once('@') {
            Some((user, host)) => {
                push_user(&mut shown, user, before);
                shown.push('@');
                shown.push_str(host);
            }
            None => shown.push_str(authority),
        }
        rest = tail;
    }
    shown.push_str(rest);
    shown
}

fn push_user(shown: &mut String, user: &str, before: &str) {
    if user.contains(':') {
        shown.push_str(HIDDEN);
        shown.push(':');
        shown.push_str(HIDDEN);
    } else if before.ends_with("ssh://") || before.ends_with("git://") {
        shown.push_str(user);
    } else {
        // A name alone is how tokens are given over HTTP.
        shown.push_str(HIDDEN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_of_urls_do_not_show() {
        for (text, expected) in [
            ("ADD https://me:pw@host/a /b", "ADD https://xxxxx:xxxxx@host/a /b"),
            ("https://token@host", "https://xxxxx@host"),
            ("https://a:p@ss@host/x@y", "https://xxxxx:xxxxx@host/x@y"),
            ("ssh://git@host/x.git", "ssh://git@host/x.git"),
            ("ssh://git:pw@host/x.git", "ssh://xxxxx:xxxxx@host/x.git"),
            ("git@host:x.git", "git@host:x.git"),
            ("http://a:b@c http://d/e@f", "http://xxxxx:xxxxx@c http://d/e@f"),
            ("no url", "no url"),
            ("://", "://"),
        ] {
            assert_eq!(redact(text), expected);
        }
    }
}
