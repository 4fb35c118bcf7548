//! Names of variables that say that a secret is in them.

/// Words that name secrets.
const SECRET: [&str; 10] =
    ["apikey", "auth", "credential", "credentials", "key", "password", "pword", "passwd", "secret", "token"];

/// Words that make something harmless of it: `PUBLIC_KEY`, `TOKEN_FILE`.
const HARMLESS: [&str; 3] = ["public", "file", "version"];

/// Whether one of the words of `name`, which `_` separates, names a secret, and none says that it is harmless.
pub(super) fn is_secret(name: &str) -> bool {
    let has =
        |list: &[&str]| name.split('_').any(|word| list.iter().any(|known| word.eq_ignore_ascii_case(known)));
    has(&SECRET) && !has(&HARMLESS)
}

#[cfg(test)]
mod tests {
    use super::is_secret;

    #[test]
    fn secrets_are_told_by_a_whole_word() {
        for name in ["KEY", "api_key", "GITHUB_TOKEN", "secret_message", "DB_PASSWORD_1", "Auth", "_token_"] {
            assert!(is_secret(name), "{name}");
        }
        for name in ["PUBLIC_KEY", "TOKEN_FILE", "KEY_VERSION", "KEYBOARD", "AUTHOR", "TOKENS", "", "_"] {
            assert!(!is_secret(name), "{name}");
        }
    }
}
