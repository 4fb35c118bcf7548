//! PAX records: `LENGTH KEY=VALUE\n`, where the length counts the whole record and the value may be any bytes.

/// Prefix of a key that holds an extended attribute.
const XATTR: &[u8] = b"SCHILY.xattr.";

/// Appends the record of an extended attribute. A key cannot hold `=`; GNU tar's way of writing it is used.
pub(crate) fn append_xattr(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    let mut key = XATTR.to_vec();
    for byte in name {
        match byte {
            b'=' => key.extend_from_slice(b"%3D"),
            b'%' => key.extend_from_slice(b"%25"),
            byte => key.push(*byte),
        }
    }
    append(out, &key, value);
}

/// The name of the extended attribute that a key holds, if it holds one.
pub(crate) fn xattr_name(key: &[u8]) -> Option<Vec<u8>> {
    let mut rest = key.strip_prefix(XATTR)?;
    let mut name = Vec::with_capacity(rest.len());
    while let Some((first, more)) = rest.split_first() {
        let (byte, after) = match rest.first_chunk::<3>() {
            Some(b"%3D") => (b'=', &rest[3..]),
            Some(b"%25") => (b'%', &rest[3..]),
            _ => (*first, more),
        };
        name.push(byte);
        rest = after;
    }
    Some(name)
}

/// Appends one record.
pub(crate) fn append(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    // Space, equals sign and newline. The length counts its own digits, so it is settled by trying.
    let rest = key.len() + value.len() + 3;
    let mut len = rest + digits(rest);
    if rest + digits(len) != len {
        len = rest + digits(len);
    }
    out.extend_from_slice(len.to_string().as_bytes());
    out.push(b' ');
    out.extend_from_slice(key);
    out.push(b'=');
    out.extend_from_slice(value);
    out.push(b'\n');
}

/// The records in the content of an extended header, or nothing if it is malformed.
pub(crate) fn parse(mut bytes: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let space = bytes.iter().take(20).position(|byte| *byte == b' ')?;
        let len: usize = std::str::from_utf8(&bytes[..space]).ok()?.parse().ok()?;
        let record = bytes.get(space + 1..len)?.strip_suffix(b"\n")?;
        let equals = record.iter().position(|byte| *byte == b'=')?;
        records.push((&record[..equals], &record[equals + 1..]));
        bytes = &bytes[len..];
    }
    Some(records)
}

fn digits(number: usize) -> usize {
    number.checked_ilog10().map_or(1, |log| log as usize + 1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_length_counts_itself() {
        // 96 + 3 + 1 digit pairs around the step from two digits to three.
        for len in 85..110 {
            let mut out = Vec::new();
            append(&mut out, b"path", &vec![b'x'; len]);
            let (number, _) = out.split_at(out.iter().position(|byte| *byte == b' ').unwrap());
            assert_eq!(std::str::from_utf8(number).unwrap().parse::<usize>().unwrap(), out.len());
        }
    }

    #[test]
    fn malformed_records_are_refused() {
        for bad in ["x", "5 a=b", "6 abc\n", "0 a=b\n", "99 a=b\n", " a=b\n", "6 a b\n\n", "-6 a=b\n", "3 \n"]
        {
            assert_eq!(parse(bad.as_bytes()), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn any_value_survives(pairs in proptest::collection::vec(("[a-z.]{1,12}", any::<Vec<u8>>()), 0..5)) {
            let mut out = Vec::new();
            for (key, value) in &pairs {
                append(&mut out, key.as_bytes(), value);
            }
            let read = parse(&out).unwrap();
            let expected: Vec<_> = pairs.iter().map(|(key, value)| (key.as_bytes(), value.as_slice())).collect();
            prop_assert_eq!(read, expected);
        }

        #[test]
        fn any_attribute_survives(name in proptest::collection::vec(1_u8.., 0..8), tail in "[%=3D25a]{0,6}", value: Vec<u8>) {
            let name = [name.as_slice(), tail.as_bytes()].concat();
            let mut out = Vec::new();
            append_xattr(&mut out, &name, &value);
            let records = parse(&out).unwrap();
            prop_assert_eq!(xattr_name(records[0].0).unwrap(), name);
            prop_assert_eq!(records[0].1, value);
        }

        #[test]
        fn no_input_makes_it_panic(bytes: Vec<u8>) {
            let _ = parse(&bytes);
        }
    }
}
