//! Sizes, durations and filters as people write them on the command line. Pure.

use jiff::{SignedDuration, Timestamp};
use kiln_cache::{ItemKind, Selection};

/// Units of sizes; as docker reads them, kB is 1024 bytes just as KiB is.
const SIZES: [(char, u32); 5] = [('k', 1), ('m', 2), ('g', 3), ('t', 4), ('p', 5)];

/// Units of durations, in seconds.
const DURATIONS: [(&str, f64); 6] =
    [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0), ("d", 86_400.0), ("w", 604_800.0)];

/// `10GB`, `512m`, `1.5GiB`, `0`: bytes.
pub fn size(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let digits = text.trim_end_matches(|char: char| char.is_ascii_alphabetic()).trim_end();
    let unit = text[digits.len()..].trim();
    let unit = unit.strip_suffix("ib").or_else(|| unit.strip_suffix('b')).unwrap_or(unit);
    let mut letters = unit.chars();
    let power = match (letters.next(), letters.next()) {
        (None, _) => 0,
        (Some(letter), None) => SIZES.iter().find(|(known, _)| *known == letter)?.1,
        _ => return None,
    };
    let number = plain_number(digits)?;
    let bytes = number * 1024_f64.powi(i32::try_from(power).ok()?);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be in range")]
    (bytes < 18e18).then_some(bytes as u64)
}

/// `24h`, `1h30m`, `7d`.
pub fn duration(text: &str) -> Option<SignedDuration> {
    let mut rest = text.trim();
    let mut seconds = 0.0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|char: char| char.is_ascii_alphabetic()).unwrap_or(rest.len());
        let number = plain_number(&rest[..end])?;
        let after = &rest[end..];
        let unit = after.find(|char: char| !char.is_ascii_alphabetic()).unwrap_or(after.len());
        seconds += number * DURATIONS.iter().find(|(known, _)| *known == &after[..unit])?.1;
        rest = &after[unit..];
    }
    SignedDuration::try_from_secs_f64(seconds).ok()
}

fn plain_number(text: &str) -> Option<f64> {
    let plain = !text.is_empty() && text.chars().all(|char| char.is_ascii_digit() || char == '.');
    if plain { text.parse().ok() } else { None }
}

/// What `--filter KEY=VALUE` options select; the error is one line for a person.
pub fn selection(filters: &[String], now: Timestamp) -> Result<Selection, String> {
    let mut selection = Selection::default();
    for filter in filters {
        // buildx also writes `KEY==VALUE`, and `inuse` alone.
        let (key, value) = filter.split_once('=').unwrap_or((filter, "true"));
        let value = value.strip_prefix('=').unwrap_or(value);
        let flag = || value.parse::<bool>().map_err(|_| format!("`{key}` is true or false, not `{value}`"));
        match key.trim_end_matches('~') {
            "until" | "unused-for" | "older-than" => {
                let since = moment(value, now).ok_or_else(|| {
                    format!("`{value}` is neither a duration (24h, 7d) nor a time (2026-01-02T03:04:05Z)")
                })?;
                // Of several, the one that selects least.
                selection.unused_since = Some(selection.unused_since.map_or(since, |other| other.min(since)));
            }
            "type" => selection.kinds.push(kind(value)?),
            "id" => selection.ids.push(value.to_owned()),
            "description" => selection.descriptions.push(value.to_owned()),
            "inuse" => selection.in_use = Some(flag()?),
            "shared" => selection.shared = Some(flag()?),
            "private" => selection.shared = Some(!flag()?),
            _ => {
                return Err(format!(
                    "`{key}` is no filter; there are until, unused-for, type, id, description, inuse, shared and private"
                ));
            }
        }
    }
    Ok(selection)
}

/// A duration before now, or a moment.
fn moment(text: &str, now: Timestamp) -> Option<Timestamp> {
    match duration(text) {
        Some(duration) => now.checked_sub(duration).ok(),
        None => text.parse().ok(),
    }
}

fn kind(name: &str) -> Result<ItemKind, String> {
    ItemKind::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| {
        let names: Vec<&str> = ItemKind::ALL.iter().map(|kind| kind.name()).collect();
        format!("`{name}` is no type; there are {}", names.join(", "))
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_docker_reads_them() {
        let read = ["0", "12", "1k", "10GB", "1.5 GiB", "512mb", "2t"].map(size);
        let expected = [0, 12, 1024, 10 << 30, 3 << 29, 512 << 20, 2 << 40].map(Some);
        assert_eq!(read, expected);
        for bad in ["", "x", "-1", "1x", "1kk", "GB", "1e9", "99999999P", "1..2"] {
            assert_eq!(size(bad), None, "{bad}");
        }
    }

    #[test]
    fn durations_have_units() {
        let read = ["24h", "1h30m", "7d", "0s", "1.5m", "250ms"].map(|text| duration(text).unwrap());
        let expected = [86_400_000, 5_400_000, 604_800_000, 0, 90_000, 250].map(SignedDuration::from_millis);
        assert_eq!(read, expected);
        for bad in ["", "24", "h", "1y", "-1h", "1h2", "99999999999999999999999w"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn filters_select() {
        let now: Timestamp = "2026-01-02T00:00:00Z".parse().unwrap();
        let read = |filters: &[&str]| {
            selection(&filters.iter().map(|&filter| filter.to_owned()).collect::<Vec<_>>(), now)
        };
        let all = read(&[
            "until=24h",
            "unused-for=48h",
            "type=regular",
            "type==exec.cachemount",
            "inuse",
            "private=true",
        ]);
        let all = all.unwrap();
        assert_eq!(all.unused_since, Some("2025-12-31T00:00:00Z".parse().unwrap()));
        assert_eq!(all.kinds, [ItemKind::Regular, ItemKind::CacheMount]);
        assert_eq!((all.in_use, all.shared), (Some(true), Some(false)));
        let moment = read(&["until=2025-01-01T00:00:00Z", "description~=apt"]).unwrap();
        assert_eq!(moment.unused_since, Some("2025-01-01T00:00:00Z".parse().unwrap()));
        assert_eq!(moment.descriptions, ["apt"]);
        for (bad, said) in [
            ("until=x", "neither"),
            ("type=x", "no type"),
            ("label=a", "no filter"),
            ("shared=7", "true or false"),
        ] {
            assert!(read(&[bad]).unwrap_err().contains(said), "{bad}");
        }
    }
}
