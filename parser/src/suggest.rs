//! "Did you mean …?": the candidate nearest to a mistyped word.
//!
//! Used for instructions, flags and mount options here, for stages and variables by the graph. Whether
//! to say anything at all is the caller's choice.

/// The longest word compared: a longer one is no slip of the fingers, and the cost is quadratic.
const LONGEST: usize = 64;

/// The candidate that `word` was most likely meant to be, if any is near enough; case is ignored, the first
/// of equally near ones wins. A third of the word's letters may differ, and one in a short word.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let mut buffer = ['\0'; LONGEST];
    let word = lower(word, &mut buffer).filter(|word| !word.is_empty())?;
    let allowed = (word.len() / 3).max(1);
    let mut best: Option<(usize, &'a str)> = None;
    let mut buffer = ['\0'; LONGEST];
    for candidate in candidates {
        // Bytes are at least as many as letters: what has too few of them need not be read.
        if candidate.len() + allowed < word.len() {
            continue;
        }
        let Some(letters) = lower(candidate, &mut buffer) else { continue };
        if letters.len().abs_diff(word.len()) > allowed {
            continue;
        }
        let found = distance(word, letters);
        if found <= allowed && best.is_none_or(|(least, _)| found < least) {
            best = Some((found, candidate));
        }
    }
    best.filter(|&(found, _)| found < word.len()).map(|(_, candidate)| candidate)
}

/// The small letters of `word`, in `buffer`: a file may be nothing but mistyped words. `None` when they are too many.
fn lower<'b>(word: &str, buffer: &'b mut [char; LONGEST]) -> Option<&'b [char]> {
    let mut length = 0;
    if word.is_ascii() {
        for (place, byte) in buffer.get_mut(..word.len())?.iter_mut().zip(word.bytes()) {
            *place = char::from(byte.to_ascii_lowercase());
        }
        length = word.len();
    } else {
        for letter in word.chars().flat_map(char::to_lowercase) {
            *buffer.get_mut(length)? = letter;
            length += 1;
        }
    }
    buffer.get(..length)
}

/// The least number of insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`
/// (optimal string alignment); neither is longer than [`LONGEST`].
fn distance(a: &[char], b: &[char]) -> usize {
    let (mut before, mut last, mut row) = ([0; LONGEST + 1], [0; LONGEST + 1], [0; LONGEST + 1]);
    for (cell, count) in last.iter_mut().zip(0u8..) {
        *cell = count;
    }
    for ((i, x), count) in a.iter().enumerate().zip(1u8..) {
        row[0] = count;
        for (j, y) in b.iter().enumerate() {
            let mut least = (last[j] + u8::from(x != y)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                least = least.min(before[j - 1] + 1);
            }
            row[j + 1] = least;
        }
        (before, last, row) = (last, row, before);
    }
    usize::from(last[b.len()])
}

#[cfg(test)]
mod tests {
    use super::{distance, nearest};

    fn steps(a: &str, b: &str) -> usize {
        distance(&a.chars().collect::<Vec<_>>(), &b.chars().collect::<Vec<_>>())
    }

    #[test]
    fn distance_counts_edits_and_swaps() {
        let cases = [("", "", 0), ("a", "", 1), ("", "ab", 2), ("run", "run", 0), ("rnu", "run", 1)];
        let more = [("copy", "cpoy", 1), ("kitten", "sitting", 3), ("éa", "ea", 1), ("abcd", "badc", 2)];
        for (a, b, expected) in cases.into_iter().chain(more) {
            assert_eq!(steps(a, b), expected, "{a} -> {b}");
            assert_eq!(steps(b, a), expected, "{b} -> {a}");
        }
    }

    #[test]
    fn nearest_ignores_case_and_prefers_the_first_of_equals() {
        let names = ["FROM", "RUN", "COPY", "ENV", "ENTRYPOINT"];
        assert_eq!(nearest("rnu", names), Some("RUN"));
        assert_eq!(nearest("COPPY", names), Some("COPY"));
        assert_eq!(nearest("entrypiont", names), Some("ENTRYPOINT"));
        assert_eq!(nearest("ab", ["ax", "bb", "aby"]), Some("ax"));
        assert_eq!(nearest("FORM", names), Some("FROM"));
    }

    #[test]
    fn nearest_says_nothing_about_words_that_are_far_off() {
        assert_eq!(nearest("INSTALL", ["FROM", "RUN"]), None);
        assert_eq!(nearest("", ["a"]), None);
        assert_eq!(nearest("x", ["y"]), None);
        assert_eq!(nearest(&"x".repeat(100), ["y"]), None);
        assert_eq!(nearest("run", []), None);
    }
}
