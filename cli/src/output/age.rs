//! How long ago something was, in docker's words.

use jiff::Timestamp;

const HOURS_A_DAY: i64 = 24;
const HOURS_A_WEEK: i64 = 7 * HOURS_A_DAY;
const HOURS_A_MONTH: i64 = 30 * HOURS_A_DAY;
const HOURS_A_YEAR: i64 = 365 * HOURS_A_DAY;

/// `3 days ago`; `N/A` for a time that is missing or cannot be read.
pub fn since(created: Option<&str>, now: Timestamp) -> String {
    match created.and_then(|text| text.parse::<Timestamp>().ok()) {
        Some(then) => format!("{} ago", words(now.as_second() - then.as_second())),
        None => "N/A".to_owned(),
    }
}

/// A duration in seconds as docker words it; what lies in the future counts as just now.
fn words(seconds: i64) -> String {
    let minutes = seconds / 60;
    // Docker rounds hours half up, and everything longer is cut from those hours.
    let hours = (seconds + 1800) / 3600;
    match (seconds, minutes, hours) {
        (..1, ..) => "Less than a second".to_owned(),
        (1, ..) => "1 second".to_owned(),
        (2..60, ..) => format!("{seconds} seconds"),
        (_, 1, _) => "About a minute".to_owned(),
        (_, 2..60, _) => format!("{minutes} minutes"),
        (.., ..2) => "About an hour".to_owned(),
        (.., 2..48) => format!("{hours} hours"),
        _ if hours < 2 * HOURS_A_WEEK => format!("{} days", hours / HOURS_A_DAY),
        _ if hours < 2 * HOURS_A_MONTH => format!("{} weeks", hours / HOURS_A_WEEK),
        _ if hours < 2 * HOURS_A_YEAR => format!("{} months", hours / HOURS_A_MONTH),
        _ => format!("{} years", hours / HOURS_A_YEAR),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn dockers_words() {
        let day = 86_400;
        let cases = [
            (-5, "Less than a second"),
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (119, "About a minute"),
            (120, "2 minutes"),
            (3599, "59 minutes"),
            (3600, "About an hour"),
            (5399, "About an hour"),
            (5400, "2 hours"),
            (2 * day, "2 days"),
            (13 * day, "13 days"),
            (14 * day, "2 weeks"),
            (60 * day, "2 months"),
            (729 * day, "24 months"),
            (730 * day, "2 years"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(words(seconds), expected, "{seconds} seconds");
        }
    }

    #[test]
    fn times_that_cannot_be_read() {
        let now: Timestamp = "2026-01-02T00:00:00Z".parse().unwrap();
        assert_eq!(since(None, now), "N/A");
        assert_eq!(since(Some("yesterday"), now), "N/A");
        assert_eq!(since(Some("2026-01-01T23:59:50.123456789Z"), now), "10 seconds ago");
        assert_eq!(since(Some("2026-01-01T21:00:00-01:00"), now), "2 hours ago");
    }
}
