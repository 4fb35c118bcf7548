//! Challenges: what a registry writes into `WWW-Authenticate` (RFC 9110, section 11.6.1). Pure.

/// One way to log in that a registry offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// User and password with every request.
    Basic,
    /// A token from a token server (distribution specification, "Token Authentication").
    Bearer {
        /// The token server's URL.
        realm: String,
        /// The name under which the token server knows the registry.
        service: Option<String>,
        /// The scopes that the refused request needs.
        scopes: Vec<String>,
    },
}

/// Reads the challenges of one header value; schemes that are not understood are left out.
pub(crate) fn parse(value: &str) -> Vec<Challenge> {
    let mut found: Vec<(String, Vec<(String, String)>)> = Vec::new();
    let mut rest = value.trim_start();
    while !rest.is_empty() {
        let (name, after) = take_token(rest);
        if name.is_empty() {
            rest = skip_separators(&rest[rest.chars().next().map_or(0, char::len_utf8)..]);
            continue;
        }
        if let Some(text) = after.trim_start().strip_prefix('=') {
            let (text, after) = take_value(text.trim_start());
            if let Some((_, parameters)) = found.last_mut() {
                parameters.push((name.to_ascii_lowercase(), text));
            }
            rest = skip_separators(after);
        } else {
            found.push((name.to_ascii_lowercase(), Vec::new()));
            rest = skip_separators(after);
        }
    }
    found.into_iter().filter_map(|(scheme, parameters)| to_challenge(&scheme, parameters)).collect()
}

fn to_challenge(scheme: &str, parameters: Vec<(String, String)>) -> Option<Challenge> {
    if scheme == "basic" {
        return Some(Challenge::Basic);
    }
    if scheme != "bearer" {
        return None;
    }
    let (mut realm, mut service, mut scopes) = (None, None, Vec::new());
    for (name, value) in parameters {
        match name.as_str() {
            "realm" => realm = Some(value),
            "service" => service = Some(value),
            "scope" => scopes.extend(value.split_whitespace().map(str::to_owned)),
            _ => {}
        }
    }
    Some(Challenge::Bearer { realm: realm?, service, scopes })
}

fn take_token(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| c.is_whitespace() || matches!(c, '=' | ',' | '"')).unwrap_or(text.len());
    text.split_at(end)
}

/// A quoted string or a bare value, and what follows it.
fn take_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, rest) = text.split_at(text.find([',', ' ', '\t']).unwrap_or(text.len()));
        return (value.to_owned(), rest);
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
            c => value.push(c),
        }
    }
    (value, "")
}

fn skip_separators(text: &str) -> &str {
    text.trim_start_matches(|c: char| c.is_whitespace() || c == ',')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>, scopes: &[&str]) -> Challenge {
        Challenge::Bearer {
            realm: realm.into(),
            service: service.map(str::to_owned),
            scopes: scopes.iter().map(|&s| s.into()).collect(),
        }
    }

    #[test]
    fn reads_what_registries_send() {
        assert_eq!(
            parse(
                r#"Bearer realm="https://auth.example/token",service="r.example",scope="repository:a/b:pull,push""#
            ),
            [bearer("https://auth.example/token", Some("r.example"), &["repository:a/b:pull,push"])]
        );
        assert_eq!(parse(r#"Basic realm="Registry Realm""#), [Challenge::Basic]);
        assert_eq!(parse("basic"), [Challenge::Basic]);
        assert_eq!(
            parse(r#"BEARER Realm = "https://a/t" , scope="x:y:z  u:v:w", Basic realm=plain, Negotiate"#),
            [bearer("https://a/t", None, &["x:y:z", "u:v:w"]), Challenge::Basic]
        );
        assert_eq!(
            parse(r#"Bearer realm="a \"quoted\" \\ one""#),
            [bearer(r#"a "quoted" \ one"#, None, &[])]
        );
    }

    #[test]
    fn survives_anything() {
        for text in [
            "",
            " , ,",
            "=",
            "\"",
            "Bearer",
            "Bearer realm",
            "Bearer realm=\"",
            "Bearer realm=\"\\",
            "é=ü",
            "realm=x",
            "Digest a=b,,=c,\"d\"",
        ] {
            assert_eq!(
                parse(text),
                if text == "Bearer realm=\"" || text == "Bearer realm=\"\\" {
                    vec![bearer("", None, &[])]
                } else {
                    vec![]
                },
                "{text}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "(Bearer |Basic |[a-z]+=|[,= \"\\\\]|\\PC){0,20}") {
            parse(&text);
        }
    }
}
