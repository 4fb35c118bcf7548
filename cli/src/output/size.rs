//! Sizes as docker prints them: decimal units, three or four significant digits.

const UNITS: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];

/// Three significant digits, as in tables: `13.3kB`, `116MB`.
pub fn short(bytes: u64) -> String {
    significant(bytes, 3)
}

/// Four significant digits, as in reports: `1.234GB`.
pub fn exact(bytes: u64) -> String {
    significant(bytes, 4)
}

#[expect(clippy::cast_precision_loss, reason = "four digits are shown")]
fn significant(bytes: u64, digits: usize) -> String {
    let mut value = bytes as f64;
    let mut unit = 0;
    loop {
        let text = trimmed(value, digits);
        let carries = text.parse::<f64>().is_ok_and(|shown| shown >= 1000.0);
        if !carries || unit + 1 == UNITS.len() {
            return format!("{text}{}", UNITS[unit]);
        }
        value /= 1000.0;
        unit += 1;
    }
}

/// The value with that many significant digits at most, without trailing zeros after the point.
fn trimmed(value: f64, digits: usize) -> String {
    let whole = if value >= 100.0 {
        3
    } else if value >= 10.0 {
        2
    } else {
        1
    };
    let text = format!("{value:.*}", digits.saturating_sub(whole));
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_docker_prints_them() {
        let shown = [0, 1, 999, 1000, 1024, 13_256, 999_949, 999_999, 1_234_567, 116_000_000, 7_340_032_000];
        let expected =
            ["0B", "1B", "999B", "1kB", "1.02kB", "13.3kB", "1MB", "1MB", "1.23MB", "116MB", "7.34GB"];
        assert_eq!(shown.map(short), expected);
    }

    #[test]
    fn four_digits() {
        assert_eq!(exact(1_234_567_890), "1.235GB");
        assert_eq!(exact(0), "0B");
        assert_eq!(exact(42_000), "42kB");
        assert_eq!(exact(u64::MAX), "18.45EB");
    }
}
