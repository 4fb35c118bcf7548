//! The patterns of `${v#p}`, `${v%p}` and `${v/p/r}`: `*`, `?` and literals.
//!
//! As in BuildKit there are no bracket expressions, neither wildcard matches a line feed, and a backslash
//! escapes a wildcard, itself, `/` and `}`. No regular expressions: a pattern is cut at its stars into
//! segments of fixed length, which are looked for one after another.

/// A pattern: its segments, with a star between each and the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    segments: Vec<Vec<Element>>,
}

/// What matches one character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Element {
    /// `?`.
    Any,
    /// The character itself.
    Literal(char),
}

impl Element {
    fn matches(self, c: char) -> bool {
        match self {
            Self::Any => c != '\n',
            Self::Literal(literal) => c == literal,
        }
    }
}

impl Pattern {
    /// Reads a pattern; the error is a sentence.
    pub fn new(pattern: &str) -> Result<Self, String> {
        let mut segments = vec![Vec::new()];
        let mut chars = pattern.chars();
        while let Some(c) = chars.next() {
            let element = match c {
                '*' => {
                    segments.push(Vec::new());
                    continue;
                }
                '?' => Element::Any,
                '\\' => match chars.next() {
                    Some(c @ ('}' | '/' | '*' | '?' | '\\')) => Element::Literal(c),
                    Some(c) => return Err(invalid(pattern, &format!("invalid escape '\\{c}'"))),
                    None => return Err(invalid(pattern, "nothing follows its last '\\'")),
                },
                _ => Element::Literal(c),
            };
            if let Some(last) = segments.last_mut() {
                last.push(element);
            }
        }
        Ok(Self { segments })
    }

    /// `value` without the shortest or longest match at its start.
    pub fn trim_start(&self, value: &str, longest: bool) -> String {
        let chars: Vec<char> = value.chars().collect();
        let end = self.match_at(&chars, 0, longest).unwrap_or(0);
        chars[end..].iter().collect()
    }

    /// `value` without the shortest or longest match at its end.
    pub fn trim_end(&self, value: &str, longest: bool) -> String {
        let chars: Vec<char> = value.chars().rev().collect();
        let end = self.reversed().match_at(&chars, 0, longest).unwrap_or(0);
        chars[end..].iter().rev().collect()
    }

    /// `value` with the first or every longest match replaced; `None` when that would take more than `most` bytes.
    pub fn replace(&self, value: &str, replacement: &str, all: bool, most: usize) -> Option<String> {
        let chars: Vec<char> = value.chars().collect();
        let mut result = String::with_capacity(value.len());
        let mut at = 0;
        let mut done = false;
        // An empty match right behind another match is none, as with regular expressions.
        let mut last_end = None;
        while at <= chars.len() {
            let end = if done { None } else { self.match_at(&chars, at, true) };
            let mut next = if done { chars.len() } else { at + 1 };
            if let Some(end) = end.filter(|&end| end > at || last_end != Some(at)) {
                if replacement.len() > most.saturating_sub(result.len()) {
                    return None;
                }
                result.push_str(replacement);
                done = !all;
                last_end = Some(end);
                if end > at {
                    at = end;
                    continue;
                }
            } else if !done {
                next = self.next_start(&chars, at);
            }
            next = next.max(at + 1);
            result.extend(chars.get(at..next).unwrap_or(&chars[at..]));
            at = next;
        }
        Some(result)
    }

    fn reversed(&self) -> Self {
        let backwards = |segment: &Vec<Element>| segment.iter().rev().copied().collect();
        Self { segments: self.segments.iter().rev().map(backwards).collect() }
    }

    /// The end of the shortest or longest match that starts at `start`.
    fn match_at(&self, chars: &[char], start: usize, longest: bool) -> Option<usize> {
        let (first, others) = self.segments.split_first()?;
        let mut at = fits(first, chars, start)?;
        for (index, segment) in others.iter().enumerate() {
            let last = index + 1 == others.len();
            let reach = line_end(chars, at);
            let mut candidates = at..=reach;
            let found = if last && longest {
                candidates.rev().find_map(|from| fits(segment, chars, from))
            } else {
                candidates.find_map(|from| fits(segment, chars, from))
            };
            at = found?;
        }
        Some(at)
    }

    /// Where the next match may start after none started at `at`. Once the first segment fits, a star has
    /// searched the whole line, so no later start on it can do better.
    fn next_start(&self, chars: &[char], at: usize) -> usize {
        let searched = self.segments.len() > 1
            && self.segments.first().is_some_and(|first| fits(first, chars, at).is_some());
        if searched { line_end(chars, at) + 1 } else { at + 1 }
    }
}

/// The end of `segment` if it fits at `at`.
fn fits(segment: &[Element], chars: &[char], at: usize) -> Option<usize> {
    let part = chars.get(at..at + segment.len())?;
    segment.iter().zip(part).all(|(element, &c)| element.matches(c)).then_some(at + segment.len())
}

fn line_end(chars: &[char], at: usize) -> usize {
    chars[at..].iter().position(|&c| c == '\n').map_or(chars.len(), |end| at + end)
}

fn invalid(pattern: &str, why: &str) -> String {
    format!("invalid pattern ({pattern}) in substitution: {why}")
}
