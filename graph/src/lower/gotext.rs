//! Values as Go prints them.
//!
//! The history of an image is text that Docker writes with Go's formatting verbs, and tools compare it. These
//! functions write the same text: `%q` of a list, `%v` of a list, and a `time.Duration`.

use std::fmt::Write;

/// `%v` of a list of strings: `[a b]`.
pub(super) fn list<S: AsRef<str>>(values: &[S]) -> String {
    let values: Vec<&str> = values.iter().map(AsRef::as_ref).collect();
    format!("[{}]", values.join(" "))
}

/// `%q` of a list of strings: `["a" "b"]`.
pub(super) fn quoted_list(values: &[String]) -> String {
    let values: Vec<String> = values.iter().map(|value| quoted(value)).collect();
    list(&values)
}

/// `%q` of a string.
pub(super) fn quoted(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 2);
    out.push('"');
    for c in value.chars() {
        push_quoted(&mut out, c);
    }
    out.push('"');
    out
}

fn push_quoted(out: &mut String, c: char) {
    let simple = match c {
        '"' | '\\' => Some(c),
        '\u{7}' => Some('a'),
        '\u{8}' => Some('b'),
        '\u{c}' => Some('f'),
        '\n' => Some('n'),
        '\r' => Some('r'),
        '\t' => Some('t'),
        '\u{b}' => Some('v'),
        _ => None,
    };
    let code = u32::from(c);
    let written = match simple {
        Some(letter) => write!(out, "\\{letter}"),
        None if is_print(c) => write!(out, "{c}"),
        None if code < 0x80 => write!(out, "\\x{code:02x}"),
        None if code < 0x1_0000 => write!(out, "\\u{code:04x}"),
        None => write!(out, "\\U{code:08x}"),
    };
    // Writing into a String cannot fail.
    debug_assert!(written.is_ok());
}

/// Near enough to Go's `strconv.IsPrint` for what people write in commands: no controls, no spaces but the
/// plain one, no invisible marks, no private use.
fn is_print(c: char) -> bool {
    let invisible = matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e000}'..='\u{f8ff}' | '\u{e0000}'..='\u{10ffff}');
    c == ' ' || !(c.is_control() || c.is_whitespace() || invisible)
}

/// A `time.Duration` of that many nanoseconds: `1m30s`, `1.5s`, `100ms`, `0s`.
pub(super) fn duration(nanoseconds: i64) -> String {
    let magnitude = nanoseconds.unsigned_abs();
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let text = match magnitude {
        0 => "0s".to_owned(),
        1..1_000 => format!("{magnitude}ns"),
        1_000..1_000_000 => format!("{}µs", decimal(magnitude, 1_000)),
        1_000_000..1_000_000_000 => format!("{}ms", decimal(magnitude, 1_000_000)),
        _ => seconds(magnitude),
    };
    format!("{sign}{text}")
}

fn seconds(nanoseconds: u64) -> String {
    const SECOND: u64 = 1_000_000_000;
    let minutes = nanoseconds / (60 * SECOND);
    let rest = format!("{}s", decimal(nanoseconds % (60 * SECOND), SECOND));
    match (minutes / 60, minutes % 60) {
        (0, 0) => rest,
        (0, minutes) => format!("{minutes}m{rest}"),
        (hours, minutes) => format!("{hours}h{minutes}m{rest}"),
    }
}

/// `value / unit` with as many decimals as it takes.
fn decimal(value: u64, unit: u64) -> String {
    let (whole, fraction) = (value / unit, value % unit);
    if fraction == 0 {
        return whole.to_string();
    }
    let width = unit.to_string().len() - 1;
    let digits = format!("{fraction:0width$}");
    format!("{whole}.{}", digits.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_quoted_as_by_go() {
        for (value, expected) in [
            ("plain", r#""plain""#),
            ("a\"b\\c", r#""a\"b\\c""#),
            ("tab\tnew\n", r#""tab\tnew\n""#),
            ("\u{1}\u{7f}", r#""\x01\x7f""#),
            ("é☺ \u{a0}", r#""é☺ \u00a0""#),
            ("\u{200b}\u{f0000}", r#""\u200b\U000f0000""#),
        ] {
            assert_eq!(quoted(value), expected);
        }
        assert_eq!(quoted_list(&["/bin/sh".to_owned(), "-c".to_owned()]), r#"["/bin/sh" "-c"]"#);
        assert_eq!(list(&["a", "b c"]), "[a b c]");
    }

    #[test]
    fn durations_are_written_as_by_go() {
        for (nanoseconds, expected) in [
            (0, "0s"),
            (1, "1ns"),
            (1_500, "1.5µs"),
            (100_000_000, "100ms"),
            (1_500_000_000, "1.5s"),
            (30_000_000_000, "30s"),
            (90_000_000_000, "1m30s"),
            (300_000_000_000, "5m0s"),
            (3_600_000_000_000, "1h0m0s"),
            (-2_000_000_000, "-2s"),
        ] {
            assert_eq!(duration(nanoseconds), expected);
        }
        assert_eq!(duration(i64::MIN), "-2562047h47m16.854775808s");
    }
}
