//! Durations as Go's `time.ParseDuration` reads them: `1h30m`, `1.5s`, `-200ms`.
//!
//! HEALTHCHECK's options use them. Source of the grammar: the documentation of Go's package `time`.

use nom::Parser;
use nom::branch::alt;
use nom::bytes::complete::tag;
use nom::character::complete::{char, digit0, digit1, one_of};
use nom::combinator::{map, map_opt, opt, value};
use nom::error::context;
use nom::multi::fold_many0;
use nom::sequence::preceded;

use crate::input::{Input, Match, Mismatch, complete};

/// Nanoseconds in a second.
const SECOND: u64 = 1_000_000_000;

/// The nanoseconds that `text` stands for; they fit Go's `int64`.
pub(crate) fn nanoseconds(text: &str) -> Result<i64, Mismatch> {
    complete(duration, Input::new(text))
}

fn duration(input: Input<'_>) -> Match<'_, i64> {
    let sign = map(opt(one_of("+-")), |sign| sign == Some('-'));
    let total = alt((sum, value(0, char('0'))));
    map_opt((sign, total), |(negative, total)| signed(negative, total)).parse(input)
}

fn signed(negative: bool, total: u64) -> Option<i64> {
    let total = i128::from(total);
    i64::try_from(if negative { -total } else { total }).ok()
}

/// One or more numbers with their units, added up.
fn sum(input: Input<'_>) -> Match<'_, u64> {
    let (rest, first) = part(input)?;
    let added = fold_many0(part, || Some(first), |sum: Option<u64>, part| sum?.checked_add(part));
    map_opt(added, |sum| sum).parse(rest)
}

fn part(input: Input<'_>) -> Match<'_, u64> {
    map_opt((number, context("a unit (h, m, s, ms, us, ns)", unit)), |((whole, fraction), unit)| {
        whole.checked_mul(unit)?.checked_add(scaled(fraction, unit))
    })
    .parse(input)
}

/// Digits with an optional fraction, of which one side may be missing.
fn number(input: Input<'_>) -> Match<'_, (u64, &str)> {
    let whole = |digits: Input<'_>| digits.as_str().parse::<u64>().ok();
    let with_whole = (map_opt(digit1, whole), opt(preceded(char('.'), digit0)));
    let without = map(preceded(char('.'), digit1), |digits: Input<'_>| (0, Some(digits)));
    let (rest, (whole, fraction)) = alt((with_whole, without)).parse(input)?;
    Ok((rest, (whole, fraction.map_or("", |digits| digits.as_str()))))
}

fn unit(input: Input<'_>) -> Match<'_, u64> {
    alt((
        value(1, tag("ns")),
        value(1_000, alt((tag("us"), tag("\u{b5}s"), tag("\u{3bc}s")))),
        value(1_000_000, tag("ms")),
        value(SECOND, tag("s")),
        value(60 * SECOND, tag("m")),
        value(3600 * SECOND, tag("h")),
    ))
    .parse(input)
}

/// `unit` times `0.fraction`, rounded down; digits below a nanosecond do not count.
fn scaled(fraction: &str, unit: u64) -> u64 {
    let mut result = 0;
    let mut unit = u128::from(unit) * 1_000_000_000_000;
    for digit in fraction.bytes() {
        unit /= 10;
        result += u128::from(digit - b'0') * unit;
    }
    u64::try_from(result / 1_000_000_000_000).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::nanoseconds;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        let cases = [
            ("0", 0),
            ("+0", 0),
            ("5s", 5_000_000_000),
            ("+5s", 5_000_000_000),
            ("-5s", -5_000_000_000),
            ("30s", 30_000_000_000),
            ("1478s", 1_478_000_000_000),
            ("5.0s", 5_000_000_000),
            ("5.6s", 5_600_000_000),
            ("5.s", 5_000_000_000),
            (".5s", 500_000_000),
            ("1.004s", 1_004_000_000),
            ("100.00100s", 100_001_000_000),
            ("10ns", 10),
            ("11us", 11_000),
            ("12\u{b5}s", 12_000),
            ("12\u{3bc}s", 12_000),
            ("13ms", 13_000_000),
            ("14m", 840_000_000_000),
            ("15h", 54_000_000_000_000),
            ("3h30m", 12_600_000_000_000),
            ("10.5s4m", 250_500_000_000),
            ("-2m3.4s", -123_400_000_000),
            ("1h2m3s4ms5us6ns", 3_723_004_005_006),
            ("0.3333333333333333333h", 1_200_000_000_000),
            ("9223372036854775807ns", i64::MAX),
        ];
        for (text, expected) in cases {
            let close = nanoseconds(text).map(|found| (found - expected).abs() <= 1);
            assert_eq!(close, Ok(true), "{text}: {:?}", nanoseconds(text));
        }
    }

    #[test]
    fn what_go_refuses_is_refused() {
        let cases = [
            "",
            "3",
            "-",
            "s",
            ".",
            "-.",
            ".s",
            "+.s",
            "1.2.3s",
            "5 s",
            "5S",
            "1d",
            "3000000h",
            "9223372036854775808ns",
            "99999999999999999999s",
            "--5s",
            "5s ",
            "0x5s",
        ];
        for text in cases {
            assert!(nanoseconds(text).is_err(), "{text}");
        }
        assert_eq!(nanoseconds("5x").map_err(|error| error.at), Err(1));
    }
}
