//! The data types of SSH messages that agents use (RFC 4251, section 5).

/// Takes a message apart; `None` where it ends too early.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    pub(super) fn number(&mut self) -> Option<u32> {
        let (bytes, rest) = self.rest.split_first_chunk::<4>()?;
        self.rest = rest;
        Some(u32::from_be_bytes(*bytes))
    }

    pub(super) fn string(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let (string, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(string)
    }
}

/// Puts a message together.
#[derive(Default)]
pub(super) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub(super) fn byte(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    pub(super) fn number(&mut self, number: u32) {
        self.bytes.extend(number.to_be_bytes());
    }

    /// Bytes with their length, which is small: what is written here is made here.
    pub(super) fn string(&mut self, string: &[u8]) {
        self.number(u32::try_from(string.len()).unwrap_or(u32::MAX));
        self.bytes.extend(string);
    }

    /// A number of any size, given without a sign, big end first.
    pub(super) fn large(&mut self, number: &[u8]) {
        let significant = &number[number.iter().take_while(|byte| **byte == 0).count()..];
        let sign = significant.first().is_some_and(|byte| *byte >= 0x80);
        let mut bytes = vec![0; usize::from(sign)];
        bytes.extend(significant);
        self.string(&bytes);
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}
