//! "Did you mean …?": the candidate nearest to a mistyped word.
//!
//! Used for instructions, flags and mount options here, for stages and variables by the graph. Whether
//! to say anything at all is the caller's choice.

/// The longest word compared: a longer one is no slip of the fingers, and the cost is quadratic.
const LONGEST: usize = 64;

/// The candidate that `word` was most likely meant to be, if any is near enough; case is ignored, the first
/// of equally near ones wins. A third of the word's letters may differ, and one in a short word.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = Letters::of(word).filter(|word| !word.all().is_empty())?;
    let allowed = (word.all().len() / 3).max(1);
    let mut best: Option<(usize, &'a str)> = None;
    for candidate in candidates {
        let Some(letters) = Letters::of(candidate) else { continue };
        if letters.all().len().abs_diff(word.all().len()) > allowed {
            continue;
        }
        let found = distance(word.all(), letters.all());
        if found <= allowed && best.is_none_or(|(least, _)| found < least) {
            best = Some((found, candidate));
        }
    }
    best.filter(|&(found, _)| found < word.all().len()).map(|(_, candidate)| candidate)
}

/// A short word in small letters. On the stack: a file may be nothing but mistyped words.
struct Letters {
    letters: [char; LONGEST],
    length: usize,
}

impl Letters {
    /// `None` when the word is too long.
    fn of(word: &str) -> Option<Self> {
        let mut all = Self { letters: ['\0'; LONGEST], length: 0 };
        for letter in word.chars().flat_map(char::to_lowercase) {
            *all.letters.get_mut(all.length)? = letter;
            all.length += 1;
        }
        Some(all)
    }

    fn all(&self) -> &[char] {
        &self.letters[..self.length]
    }
}

/// The least number of insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`
/// (optimal string alignment); neither is longer than [`LONGEST`].
fn distance(a: &[char], b: &[char]) -> usize {
    let (mut before, mut last, mut row) = ([0; LONGEST + 1], [0; LONGEST + 1], [0; LONGEST + 1]);
    for (j, cell) in last.iter_mut().enumerate() {
        *cell = j;
    }
    for (i, x) in a.iter().enumerate() {
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let mut least = (last[j] + usize::from(x != y)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                least = least.min(before[j - 1] + 1);
            }
            row[j + 1] = least;
        }
        (before, last, row) = (last, row, before);
    }
    last[b.len()]
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
