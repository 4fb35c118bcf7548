//! Which words of a failed instruction are to blame: the file that is not there, the device that is refused.
//!
//! A graph knows instructions as a whole; the words are found again in the text. Where they are not, the whole instruction
//! is shown. Pure; called by [`super::failure`].

use kiln_builder::{BuildError, Place, StepError};
use kiln_graph::Location;
use kiln_parser::span::Span;

/// What stands around a word in an array.
const AROUND: [char; 5] = ['[', ']', '"', '\'', ','];

/// The flag that asks for devices.
const DEVICE: &str = "--device=";

/// The place of what went wrong.
pub fn of(error: &BuildError, location: &Location, text: &str) -> Span {
    let whole = Span::new(location.range.start, location.range.end);
    let word = if let Some((pattern, _)) = error.missing_source() {
        words(text, whole).skip(1).find(|word| clean(&text[word.start..word.end]) == pattern)
    } else if asks_for_devices(error) {
        words(text, whole).find(|word| text[word.start..word.end].starts_with(DEVICE))
    } else {
        None
    };
    word.unwrap_or(whole)
}

/// What there is to say about a source that was written as a path above the context.
pub fn above(error: &BuildError, location: &Location, text: &str) -> Option<String> {
    let written = written(error, location, text)?;
    written.split('/').any(|part| part == "..").then(|| {
        format!(
            "`{written}` leads out of the build context, where no file can be taken from: start the build in a directory \
             above, or name the other one with --build-context"
        )
    })
}

/// What there is to say about a source that was written as a path of the machine.
pub fn rooted(error: &BuildError, location: &Location, text: &str) -> Option<String> {
    let written = written(error, location, text).filter(|written| written.starts_with('/'))?;
    Some(format!("`{written}` is looked for in the build context, whose root the first / stands for"))
}

/// The missing file of the context as it is written.
fn written<'a>(error: &BuildError, location: &Location, text: &'a str) -> Option<&'a str> {
    let (pattern, Place::Context) = error.missing_source()? else { return None };
    let span = of(error, location, text);
    text.get(span.start..span.end).filter(|written| clean(written) == pattern)
}

fn asks_for_devices(error: &BuildError) -> bool {
    use kiln_graph::Entitlement::Device;
    let BuildError::Step { cause, .. } = error else { return false };
    matches!(&**cause, StepError::Device(_) | StepError::NotEntitled { needed: Device(_) })
}

/// The words of a part of the text, without what stands around them in an array.
fn words(text: &str, part: Span) -> impl Iterator<Item = Span> {
    let slice = text.get(part.start..part.end).unwrap_or_default();
    slice.split_whitespace().map(move |word| {
        let start = part.start + (word.as_ptr() as usize - slice.as_ptr() as usize);
        let trimmed = word.trim_start_matches(AROUND);
        let start = start + word.len() - trimmed.len();
        Span::new(start, start + trimmed.trim_end_matches(AROUND).len())
    })
}

/// A path as a graph has it: relative to the context's root, which `..` does not leave.
fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    parts.join("/")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use kiln_builder::{FileError, Missing, SelectError};

    use super::*;

    fn missing(pattern: &str) -> BuildError {
        let select = SelectError::NotFound {
            pattern: pattern.to_owned(),
            place: Place::Context,
            missing: Missing::Absent,
            similar: None,
        };
        BuildError::Step {
            vertex: kiln_graph::VertexId(0),
            name: String::new(),
            location: None,
            log: Vec::new(),
            cause: Box::new(StepError::File(FileError::Select(select))),
        }
    }

    fn shown(text: &str, pattern: &str) -> (String, String) {
        let location = Location { range: 0..text.len(), line: 1, end_line: 1 };
        let span = of(&missing(pattern), &location, text);
        let error = missing(pattern);
        let said = above(&error, &location, text).or_else(|| rooted(&error, &location, text));
        let said = said.unwrap_or_default();
        (text[span.start..span.end].to_owned(), said)
    }

    #[test]
    fn the_missing_file_is_underlined() {
        assert_eq!(shown("COPY a b/c /x", "b/c").0, "b/c");
        assert_eq!(shown("COPY [\"a\", \"./b\", \"/x\"]", "b").0, "./b");
        assert_eq!(shown("COPY $FILE /x", "b").0, "COPY $FILE /x");
        assert_eq!(shown("COPY COPY /x", "COPY").0, "COPY");
    }

    #[test]
    fn a_path_out_of_the_context_is_told_as_one() {
        let (word, said) = shown("COPY ../x /", "x");
        assert_eq!(word, "../x");
        assert!(said.contains("leads out of the build context"), "{said}");
        assert!(shown("COPY /etc/x /", "etc/x").1.contains("first / stands for"));
        assert_eq!(shown("COPY x /", "x").1, "");
    }
}
