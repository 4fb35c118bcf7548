//! The fields of a tar header and the values of PAX records: how numbers are written.

use ::tar::Header;

use crate::tarfile::BLOCK;

/// A decimal number, `Some(None)` where there is none, nothing where it is not a number.
#[allow(clippy::option_option, reason = "absent and malformed are different answers")]
pub(super) fn parsed<T: std::str::FromStr>(text: Option<&str>) -> Option<Option<T>> {
    text.map_or(Some(None), |text| text.parse().ok().map(Some))
}

/// Seconds, perhaps negative, perhaps with a fraction, rounded down.
#[allow(clippy::option_option, reason = "absent and malformed are different answers")]
pub(super) fn whole_seconds(text: Option<&str>) -> Option<Option<i64>> {
    let Some(text) = text else { return Some(None) };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let seconds: i64 = whole.parse().ok()?;
    let below = whole.starts_with('-') && fraction.bytes().any(|byte| byte != b'0');
    Some(Some(seconds.saturating_sub(i64::from(below))))
}

/// A numeric field: octal digits between spaces and NULs (nothing at all is 0), or base 256 if the first bit is set.
pub(super) fn number(field: &[u8]) -> Option<i128> {
    if field.first()? & 0x80 != 0 {
        // Two's complement over the whole field, of which the first bit only says that it is base 256.
        let negative = field[0] & 0x40 != 0;
        let first = if negative { i128::from(field[0]) - 0x100 } else { i128::from(field[0] & 0x7f) };
        return Some(field[1..].iter().fold(first, |value, byte| value << 8 | i128::from(*byte)));
    }
    let digits = until_nul(field).trim_ascii();
    digits.iter().try_fold(0, |value, digit| match digit {
        b'0'..=b'7' => Some(value << 3 | i128::from(digit - b'0')),
        _ => None,
    })
}

/// Whether these bytes begin like a tar: a header whose checksum is right.
pub(crate) fn is_header(start: &[u8]) -> bool {
    let Some(block) = start.first_chunk::<BLOCK>() else { return false };
    number(&block[148..156]) == Some(checksum(block))
}

/// The sum of a header's bytes, with its own field taken as spaces.
pub(super) fn checksum(header: &[u8; BLOCK]) -> i128 {
    let sum = |bytes: &[u8]| bytes.iter().map(|byte| i128::from(*byte)).sum::<i128>();
    sum(&header[..148]) + 8 * i128::from(b' ') + sum(&header[156..])
}

pub(super) fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// The fields that all formats share, and the device numbers where ustar and GNU have them.
pub(super) fn field(header: &Header) -> Fields {
    let bytes = header.as_bytes();
    let mut fields = Fields {
        mode: [0; 8],
        uid: [0; 8],
        gid: [0; 8],
        size: [0; 12],
        mtime: [0; 12],
        linkname: [0; 100],
        dev_major: [0; 8],
        dev_minor: [0; 8],
    };
    fields.mode.copy_from_slice(&bytes[100..108]);
    fields.uid.copy_from_slice(&bytes[108..116]);
    fields.gid.copy_from_slice(&bytes[116..124]);
    fields.size.copy_from_slice(&bytes[124..136]);
    fields.mtime.copy_from_slice(&bytes[136..148]);
    fields.linkname.copy_from_slice(&bytes[157..257]);
    fields.dev_major.copy_from_slice(&bytes[329..337]);
    fields.dev_minor.copy_from_slice(&bytes[337..345]);
    fields
}

pub(super) struct Fields {
    pub mode: [u8; 8],
    pub uid: [u8; 8],
    pub gid: [u8; 8],
    pub size: [u8; 12],
    pub mtime: [u8; 12],
    pub linkname: [u8; 100],
    pub dev_major: [u8; 8],
    pub dev_minor: [u8; 8],
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn numbers_are_octal_or_base_256() {
        for (field, value) in [
            (&b"0000644\0"[..], Some(0o644)),
            (b"  644 \0\0", Some(0o644)),
            (b"77777777", Some(0o77_777_777)),
            (b"\0\0\0\0\0\0\0\0", Some(0)),
            (b"        ", Some(0)),
            (b"12x45\0\0\0", None),
            (b"-1\0\0\0\0\0\0", None),
            (b"9\0\0\0\0\0\0\0", None),
            (b"\x80\0\0\0\0\0\x01\x02", Some(258)),
            (b"\xff\xff\xff\xff\xff\xff\xff\xfe", Some(-2)),
            (b"\x80\0\0\0\x01\0\0\0\0\0\0\0", Some(1 << 56)),
        ] {
            assert_eq!(number(field), value, "{field:?}");
        }
    }

    #[test]
    fn times_are_rounded_down_to_seconds() {
        for (text, seconds) in [
            ("0", Some(0)),
            ("1600000000.999", Some(1_600_000_000)),
            ("-1", Some(-1)),
            ("-1.000", Some(-1)),
            ("-1.5", Some(-2)),
            ("-0.5", Some(-1)),
            ("1.x", None),
            ("", None),
            (".5", None),
        ] {
            assert_eq!(whole_seconds(Some(text)).flatten(), seconds, "{text}");
        }
        assert_eq!(whole_seconds(None), Some(None));
    }

    #[test]
    fn a_header_is_known_by_its_checksum() {
        let mut header = Header::new_gnu();
        header.set_path("f").unwrap();
        header.set_size(0);
        header.set_cksum();
        assert!(is_header(header.as_bytes()));
        assert!(!is_header(&header.as_bytes()[1..]));
        assert!(!is_header(&[0; BLOCK]));
        // The headers of extended attributes need no name.
        let mut nameless = Header::new_ustar();
        nameless.set_size(0);
        nameless.set_cksum();
        assert!(is_header(nameless.as_bytes()));
    }
}
