//! How values and paths are put into one line. Pure.

use std::path::Path;

/// How many characters of a value are shown.
const SHOWN: usize = 60;

/// How much of what two long values have in common is shown before they part.
const IN_COMMON: usize = 12;

/// A value on one line: cut where it is long, `(empty)` where there is nothing to see.
pub(crate) fn shown(value: &str) -> String {
    let line: String = value.chars().map(|char| if char.is_control() { ' ' } else { char }).collect();
    if line.trim().is_empty() { "(empty)".to_owned() } else { cut(&line) }
}

/// `OLD -> NEW`. Where both are long, what they begin with together is left out.
pub(crate) fn pair(old: &str, new: &str) -> String {
    let common = old.chars().zip(new.chars()).take_while(|(old, new)| old == new).count();
    let is_long = |text: &str| text.chars().count() > SHOWN;
    if common > 2 * IN_COMMON && (is_long(old) || is_long(new)) {
        let rest =
            |text: &str| format!("…{}", cut(&text.chars().skip(common - IN_COMMON).collect::<String>()));
        return format!("{} -> {}", rest(old), rest(new));
    }
    format!("{} -> {}", shown(old), shown(new))
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text.to_owned(),
    }
}

/// A path on one line.
pub(crate) fn path(path: &Path) -> String {
    let text = path.to_string_lossy();
    if text.is_empty() {
        return "the source directory".to_owned();
    }
    text.chars().map(|char| if char.is_control() { '?' } else { char }).collect()
}

/// The first changes in one line, and how many more there are.
pub(crate) fn line(texts: &[&str], more: usize) -> String {
    const NAMED: usize = 3;
    let named: Vec<&str> = texts.iter().take(NAMED).copied().collect();
    let more = more + texts.len().saturating_sub(NAMED);
    let named = named.join(", ");
    if more > 0 { format!("{named} and {more} more") } else { named }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stay_on_one_line() {
        assert_eq!(shown("a\nb"), "a b");
        assert_eq!(shown(""), "(empty)");
        assert_eq!(shown(&"ü".repeat(70)), format!("{}…", "ü".repeat(60)));
        assert_eq!(path(Path::new("a\nb")), "a?b");
    }

    #[test]
    fn long_values_are_shown_where_they_part() {
        assert_eq!(pair("1", "2"), "1 -> 2");
        let (old, new) = (format!("{}tail", "x".repeat(100)), format!("{}head", "x".repeat(100)));
        assert_eq!(pair(&old, &new), format!("…{0}tail -> …{0}head", "x".repeat(12)));
    }

    #[test]
    fn three_are_named_and_the_rest_is_counted() {
        assert_eq!(line(&["a"], 0), "a");
        assert_eq!(line(&["a", "b", "c"], 0), "a, b, c");
        assert_eq!(line(&["a", "b", "c", "d"], 2), "a, b, c and 3 more");
    }
}
