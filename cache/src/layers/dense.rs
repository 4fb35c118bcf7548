//! Whether a block is worth compressing: archives, pictures and keys are as small as they get, and a compressor spends
//! most of its time on finding that out.
//!
//! Two things make a block smaller: bytes that are more frequent than others, and pieces that come again. The first is counted over
//! the whole block; the second is tried on samples of it. The answer depends on the block's bytes alone. Used by
//! [`super::compress`].

use std::io;

use flate2::{Compress, Compression, FlushCompress};

/// Bytes whose frequencies are counted together: a text between two pictures shows.
const PART: usize = 32 * 1024;

/// How much more often than at random two bytes of a part may be the same, in hundredths. Up to here, codes that are as short as
/// frequencies allow save less than one hundredth.
const MOST_PAIRS: u64 = 108;

/// Samples of a block that are compressed: this much of each stretch.
const STRETCH: usize = 512 * 1024;
const SAMPLE: usize = 64 * 1024;

/// The first level whose codes fit the data, which fixed ones do not; it looks for what comes again, too.
const FAST: u32 = 2;

/// What samples have to keep of their size for the block to stay as it is, in hundredths. Level 6 may save some more: of archives,
/// less than half a hundredth on the whole.
const LEAST_LEFT: usize = 99;

/// Tells dense blocks from others. One for each thread: it has a compressor.
pub(super) struct Scale {
    fast: Compress,
    out: Vec<u8>,
}

impl Scale {
    /// A new one.
    pub(super) fn new() -> Self {
        Self { fast: Compress::new(Compression::new(FAST), false), out: Vec::new() }
    }

    /// True when compressing the block would save next to nothing. Short blocks are always worth it.
    pub(super) fn is_dense(&mut self, block: &[u8]) -> io::Result<bool> {
        if block.len() < PART || !block.chunks(PART).all(is_even) {
            return Ok(false);
        }
        let (mut before, mut after) = (0, 0);
        for stretch in block.chunks(STRETCH) {
            let sample = &stretch[..stretch.len().min(SAMPLE)];
            before += sample.len();
            after += self.compressed(sample)?;
        }
        Ok(after * 100 >= before * LEAST_LEFT)
    }

    /// The size of a sample, compressed in a hurry.
    fn compressed(&mut self, sample: &[u8]) -> io::Result<usize> {
        self.fast.reset();
        self.out.clear();
        // Enough for what cannot be made smaller.
        self.out.reserve(sample.len() + 1024);
        self.fast.compress_vec(sample, &mut self.out, FlushCompress::Finish)?;
        Ok(self.out.len())
    }
}

/// True when all bytes are about as frequent. Of a part that is too short to say, so.
fn is_even(part: &[u8]) -> bool {
    if part.len() < PART / 4 {
        return true;
    }
    // Several tables: a counter that was just written is not at hand at once.
    let mut tables = [[0_u32; 256]; 4];
    let (quads, rest) = part.as_chunks::<4>();
    for quad in quads {
        for (table, byte) in tables.iter_mut().zip(quad) {
            table[usize::from(*byte)] += 1;
        }
    }
    for byte in rest {
        tables[0][usize::from(*byte)] += 1;
    }
    let count = |byte: usize| tables.iter().map(|table| u64::from(table[byte])).sum::<u64>();
    // Pairs of equal bytes, of which random bytes have one in 256.
    let pairs: u64 = (0..256).map(|byte| count(byte) * count(byte).saturating_sub(1)).sum();
    let all = part.len() as u64 * (part.len() as u64 - 1);
    pairs * 256 * 100 <= all * MOST_PAIRS
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Bytes that look random (xorshift).
    fn noise(length: usize) -> Vec<u8> {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let bytes = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        });
        bytes.take(length).collect()
    }

    #[test]
    fn only_what_gets_no_smaller_is_dense() {
        const BLOCK: usize = 1 << 20;
        let mut scale = Scale::new();
        let mut dense = |block: &[u8]| scale.is_dense(block).unwrap();
        assert!(dense(&noise(BLOCK)));
        assert!(dense(&noise(PART)));
        assert!(dense(&noise(BLOCK - 1000)), "a short end says nothing");
        assert!(!dense(&noise(PART - 1)), "a short block costs nothing");
        assert!(!dense(&vec![0; BLOCK]));
        assert!(!dense(&b"some text that comes again ".repeat(BLOCK / 27)));
        let seven_bits: Vec<u8> = noise(BLOCK).iter().map(|byte| byte & 0x7f).collect();
        assert!(!dense(&seven_bits), "codes are shorter");
        for period in [100, 4096, 8192, 12_288, 24_576, 32_000] {
            let repeated: Vec<u8> = noise(period).into_iter().cycle().take(BLOCK).collect();
            assert!(!dense(&repeated), "pieces of {period} bytes come again");
        }
        let mut some_repeats = noise(BLOCK);
        for at in (2000..BLOCK - 2000).step_by(2000) {
            some_repeats.copy_within(at - 1000..at - 940, at);
        }
        assert!(!dense(&some_repeats), "some of it comes again");
        let mut text_inside = noise(BLOCK);
        text_inside[600_000..650_000].fill(b' ');
        assert!(!dense(&text_inside), "a part of it gets smaller");
    }

    #[test]
    fn what_was_compressed_once_is_dense() {
        let words = noise(8 * 4096);
        let letters = |word: usize| words[8 * word..][..8].iter().map(|byte| b'a' + byte % 26);
        let choices = noise(2 * 1_000_000);
        let text: Vec<u8> = choices
            .chunks(2)
            .flat_map(|two| letters(usize::from(u16::from_le_bytes([two[0], two[1]]) % 4096)))
            .collect();
        let mut packed = Vec::with_capacity(text.len());
        Compress::new(Compression::default(), false)
            .compress_vec(&text, &mut packed, FlushCompress::Finish)
            .unwrap();
        assert!(packed.len() > 1 << 20 && packed.len() < text.len() / 2);
        assert!(Scale::new().is_dense(&packed[..1 << 20]).unwrap());
    }
}
