//! Amounts in the configuration: room on a disk, and time, each as a number or as text with a unit.

use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;
use serde::{Deserialize, Deserializer};

/// Units of sizes; as docker reads them, MB is 1024 kB just as MiB is 1024 KiB.
const UNITS: [(char, u32); 5] = [('k', 1), ('m', 2), ('g', 3), ('t', 4), ('p', 5)];

/// Room on a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Space {
    /// So many bytes.
    Bytes(u64),
    /// A share of the whole disk.
    Percent(u64),
}

/// A length of time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Age(pub Duration);

/// A text that is no amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// It is no size.
    #[error("`{text}` is no amount of storage: a number of bytes, 10GB or 20% is meant")]
    Space {
        /// As written.
        text: String,
    },
    /// It is no length of time.
    #[error("`{text}` is no length of time: a number of seconds, 48h or 1h30m is meant")]
    Age {
        /// As written.
        text: String,
    },
}

impl Space {
    /// The bytes that are meant on a disk of that size.
    pub fn of(self, disk: u64) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Percent(share) => disk / 100 * share,
        }
    }
}

impl FromStr for Space {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, AmountError> {
        let wrong = || AmountError::Space { text: text.to_owned() };
        let given = text.trim().to_ascii_lowercase();
        if let Some(share) = given.strip_suffix('%') {
            let share = share.trim().parse().ok().filter(|share| *share <= 100);
            return share.map(Self::Percent).ok_or_else(wrong);
        }
        let digits = given.trim_end_matches(|letter: char| letter.is_ascii_alphabetic()).trim_end();
        let unit = given[digits.len()..].trim();
        let unit = unit.strip_suffix("ib").or_else(|| unit.strip_suffix('b')).unwrap_or(unit);
        let mut letters = unit.chars();
        let power = match (letters.next(), letters.next()) {
            (None, _) => 0,
            (Some(letter), None) => UNITS.iter().find(|(known, _)| *known == letter).ok_or_else(wrong)?.1,
            _ => return Err(wrong()),
        };
        let number: u64 = digits.parse().map_err(|_| wrong())?;
        number.checked_mul(1024_u64.pow(power)).map(Self::Bytes).ok_or_else(wrong)
    }
}

impl FromStr for Age {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, AmountError> {
        let wrong = || AmountError::Age { text: text.to_owned() };
        if let Ok(seconds) = text.trim().parse() {
            return Ok(Self(Duration::from_secs(seconds)));
        }
        let age: SignedDuration = text.trim().parse().map_err(|_| wrong())?;
        Duration::try_from(age).map(Self).map_err(|_| wrong())
    }
}

/// A value as it may stand in the file.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a number, or text with a unit, is meant")]
enum Written {
    Number(u64),
    Text(String),
}

fn read<'de, T: FromStr<Err = AmountError>, D: Deserializer<'de>>(
    deserializer: D,
    number: impl FnOnce(u64) -> T,
) -> Result<T, D::Error> {
    match Written::deserialize(deserializer)? {
        Written::Number(value) => Ok(number(value)),
        Written::Text(text) => text.parse().map_err(serde::de::Error::custom),
    }
}

impl<'de> Deserialize<'de> for Space {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read(deserializer, Self::Bytes)
    }
}

impl<'de> Deserialize<'de> for Age {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read(deserializer, |seconds| Self(Duration::from_secs(seconds)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn room_is_bytes_or_a_share() {
        let read = ["0", "512MB", "10 GiB", "1k", "20%"].map(|text| text.parse::<Space>().unwrap());
        let bytes = [0, 512 << 20, 10 << 30, 1024].map(Space::Bytes);
        assert_eq!(read[..4], bytes);
        assert_eq!(read[4].of(1000), 200);
        for bad in ["", "x", "1x", "-1", "101%", "99999999P", "1.5GB", "GB"] {
            assert!(bad.parse::<Space>().is_err(), "{bad}");
        }
    }

    #[test]
    fn time_is_seconds_or_has_units() {
        let read = ["172800", "48h", "1h30m", "0"].map(|text| text.parse::<Age>().unwrap().0.as_secs());
        assert_eq!(read, [172_800, 172_800, 5400, 0]);
        for bad in ["", "x", "-1h", "1 potato"] {
            assert!(bad.parse::<Age>().is_err(), "{bad}");
        }
    }
}
